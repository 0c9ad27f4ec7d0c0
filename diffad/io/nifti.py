"""Names of the files that hold volumes: NIfTI, pairs of header and image, FreeSurfer's MGH."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = (".nii.gz", ".nii", ".mgz", ".mgh", ".hdr")
"""Ends of the names of volumes, in lower case, one for each scan: a pair is known by its header."""

PARTNERS = (".img", ".img.gz", ".hdr.gz")
"""Other ends of the names of volumes: the image of a pair, and a pair that is compressed."""

FLAT_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".npy")
"""Ends of the names of single slices."""

WRITTEN_SUFFIXES = (".nii.gz", ".nii")
"""Ends of the names of the volumes that are written here."""


def is_volume_name(path: Path | str) -> bool:
    """Tell whether a file is a volume by its name, in capitals too; of a pair, the header alone is."""
    return Path(path).name.lower().endswith(SUFFIXES)


def stem(path: Path) -> str:
    """Return the name of a volume or a slice without its suffixes, be they in capitals or not."""
    name = path.name
    for suffix in (*PARTNERS, *SUFFIXES, *FLAT_SUFFIXES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name
