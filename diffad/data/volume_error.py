"""The error of scans, masks and maps that cannot be used."""

from __future__ import annotations

from pathlib import Path

from diffad.io.wording import BoundedError


class VolumeError(BoundedError):
    """A scan, mask or map that cannot be used; the message names file, expectation and finding."""


def demand(ok: bool, name: Path | str | None, expectation: str, finding: object) -> None:
    """Refuse a file.

    Raises:
        VolumeError: Unless ``ok``.
    """
    if not ok:
        raise VolumeError(f"{name}: expected {expectation}, found {finding}")
