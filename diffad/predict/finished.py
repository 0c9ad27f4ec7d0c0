"""Whether the results of a scan are whole: what was written is recorded beside it, and compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffad.io.atomic import write_text
from diffad.io.digests import compare_file, describe_file
from diffad.io.files import read_regular
from diffad.io.naming import REQUIRED_KINDS

INFO_BYTES = 64_000_000
"""No information file is larger."""


@dataclass(frozen=True)
class FinishedScan:
    """What is on disk of a scan.

    Args:
        info: What is stored with its maps; none if it is not finished.
        damage: What is wrong with its files, so that they must be made anew; empty if nothing is.
    """

    info: dict[str, Any] | None = None
    damage: str = ""


def inspect_results(files: Mapping[str, Path], verify: bool = False) -> FinishedScan:
    """Read what is on disk of a scan, and tell whether its files are as they were written.

    Sizes are compared always; contents, by their SHA-256, on request. Results from before these were stored
    count as whole if every file is there and holds something.

    Args:
        files: Results of the scan by kind, see ``Naming.files``.
        verify: Also compare contents.
    """
    if not files["info"].exists():
        return FinishedScan()
    try:
        info = json.loads(read_regular(files["info"], INFO_BYTES).decode("utf-8"))
        if not isinstance(info, dict):
            raise TypeError("no mapping")
    except (OSError, ValueError, TypeError, RecursionError):
        return FinishedScan(damage=f"{files['info'].name} cannot be read")
    return FinishedScan(info, _find_damage(files, info.get("files"), verify))


def store_files(info: dict[str, Any], path: Path, files: Mapping[str, Path]) -> None:
    """Store sizes and digests of a scan's files in its information file, beside what is stored there.

    Args:
        info: What is stored of the scan; gets the entry ``files``.
        path: Its information file.
        files: Written files by kind.

    Raises:
        OSError: If it cannot be written.
    """
    records = {kind: describe_file(place) for kind, place in files.items() if kind != "info"}
    info["files"] = {**(info.get("files") or {}), **records}
    write_text(path, json.dumps(info, indent=1))


def _find_damage(files: Mapping[str, Path], records: Any, verify: bool) -> str:
    if not isinstance(records, dict):
        return _find_gap(files)
    if gaps := [kind for kind in REQUIRED_KINDS if kind not in (*records, "info")]:
        return f"{files[gaps[0]].name} was never written"
    for kind, record in records.items():
        if kind in files and (damage := compare_file(files[kind], record, verify)):
            return damage
    return ""


def _find_gap(files: Mapping[str, Path]) -> str:
    for kind in REQUIRED_KINDS:
        if not files[kind].is_file():
            return f"{files[kind].name} is missing"
        if not files[kind].stat().st_size:
            return f"{files[kind].name} is empty"
    return ""
