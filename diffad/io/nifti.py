"""Names of NIfTI files."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = (".nii.gz", ".nii")
"""Ends of the names of NIfTI files."""


def stem(path: Path) -> str:
    """Return the name of a NIfTI file without its suffixes."""
    return path.name.removesuffix(".gz").removesuffix(".nii")
