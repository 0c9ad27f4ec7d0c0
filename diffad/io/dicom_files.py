"""Files of DICOM, known by their first bytes and not by name, and the series that a scan is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffad.io.files import FileError, open_regular
from diffad.io.paths import resolve_path

MAGIC, MAGIC_AT = b"DICM", 128
"""What stands after the preamble of a DICOM file."""
BARE_STARTS = tuple(b"\x08\x00" + element for element in (b"\x00\x00", b"\x05\x00", b"\x08\x00", b"\x16\x00"))
"""How a data set begins that has no preamble, as old programs write it."""
INDEX_NAME = "DICOMDIR"
"""The table of contents of a medium, which holds no image."""


@dataclass(frozen=True)
class DicomSource:
    """The images of one series that a scan is made of.

    Args:
        files: Image files, in the order of their places.
        folder: Folder of the visit, as it was given.
        label: What messages and results call it: the folder, with what identifies the patient hidden.
        series_uid: SeriesInstanceUID.
        study_uid: StudyInstanceUID.
        number: SeriesNumber, or 0.
        description: SeriesDescription, without what identifies the patient.
        contrast: Which contrast it was taken for.
        modality: "MR" or "CT".
        echo: Number of the echo, where the series has several; else 0.
        voxels: How many voxels it has.
        warnings: What should be known of the choice and the images, in whole sentences.
        names_files: Whether results may name files and folder; not where these names identify the patient.
    """

    files: tuple[Path, ...]
    folder: Path
    label: str
    series_uid: str
    study_uid: str = ""
    number: int = 0
    description: str = ""
    contrast: str = ""
    modality: str = "MR"
    echo: int = 0
    voxels: int = 0
    warnings: tuple[str, ...] = field(default=(), repr=False)
    names_files: bool = True

    def to_info(self) -> dict[str, Any]:
        """Return what is stored with the results: which files they are of, and no more of the patient."""
        info: dict[str, Any] = {"series_uid": self.series_uid, "study_uid": self.study_uid}
        info |= {"series_number": self.number, "description": self.description, "contrast": self.contrast}
        info |= {"modality": self.modality, "echo": self.echo, "images": len(self.files)}
        if not self.names_files:
            return info | {"folder": None, "files": None}
        names = [_relate(path, self.folder) for path in self.files]
        return info | {"folder": str(self.folder), "files": names}


def is_dicom_file(path: Path) -> bool:
    """Tell whether a file begins as a DICOM file does; a table of contents is none."""
    if path.name.upper() == INDEX_NAME:
        return False
    try:
        with open_regular(path) as file:
            start = file.read(MAGIC_AT + len(MAGIC))
    except (FileError, OSError):
        return False
    return start[MAGIC_AT:] == MAGIC or (len(start) > MAGIC_AT and start.startswith(BARE_STARTS))


def _relate(path: Path, folder: Path) -> str:
    """Return a path from the folder on; links out of it keep their absolute path."""
    try:
        return str(path.relative_to(folder))
    except ValueError:
        return str(resolve_path(path))
