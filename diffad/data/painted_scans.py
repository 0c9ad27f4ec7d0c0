"""Painted scans as files, to calibrate a model on contrasts of which there are no healthy scans."""

from __future__ import annotations

from pathlib import Path

from diffad.data.items import HoldsScans
from diffad.io.paths import require_new_folder

SUFFIXES = {"t1": "T1w", "t2": "T2w", "flair": "FLAIR", "pd": "PDw", "ct": "ct"}
"""BIDS suffixes of the contrasts that heads are painted in."""

PURPOSE = "the healthy scans"
"""What a folder of them is for, in a message."""


def write_scans(data: HoldsScans, folder: Path) -> list[Path]:
    """Write the healthy scans of a data set as NIfTI files without their skull, a folder for each site.

    Args:
        data: A data set; one of label maps paints every head whole, each in the next contrast.
        folder: New folder for them: a calibration would take scans of an older set along.

    Returns:
        The files.

    Raises:
        ValueError: If there is something in the folder.
        OSError: If a file cannot be written.
    """
    require_new_folder(folder, PURPOSE)
    paths = []
    for number, (site, volume, brain) in enumerate(data.read_scans(), 1):
        place = folder / (site or "scans").replace(" ", "-")
        place.mkdir(parents=True, exist_ok=True)
        suffix = SUFFIXES.get(site.rpartition(" ")[2], "scan")
        path = place / f"sub-{number:03d}_{suffix}.nii.gz"
        volume.save(volume.data * brain, path)
        paths.append(path)
    return paths
