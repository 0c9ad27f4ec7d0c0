"""The images that stored results were made of, found again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from diffad.data.volume_error import VolumeError
from diffad.io.dicom_files import DicomSource
from diffad.io.digests import hash_file

PLACE_HINT = (
    "the place of its DICOM files, which is not stored as their names identify the patient; run diffad "
    "predict with --keep-identifiers to store it"
)


def hash_series(files: Iterable[Path]) -> str:
    """Return a hash of the content of images, whatever their names and order are.

    Raises:
        OSError: If one cannot be read.
    """
    digests = sorted(hash_file(path) for path in files)
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def restore_source(info: Mapping[str, Any], record: Path) -> DicomSource | None:
    """Return the images that results are of; none if these are of no DICOM series.

    Args:
        info: What is stored with the results.
        record: The file it is stored in, for messages.

    Raises:
        VolumeError: If their place is not stored, or they are not there.
    """
    facts = info.get("dicom")
    if not isinstance(facts, Mapping):
        return None
    folder, names = facts.get("folder"), facts.get("files")
    if not isinstance(folder, str) or not isinstance(names, list):
        raise VolumeError(f"{record}: expected {PLACE_HINT}")
    files = tuple(Path(folder) / str(name) for name in names)
    if gap_count := sum(not path.is_file() for path in files):
        finding = f"{gap_count} of {len(files)} missing"
        raise VolumeError(f"{record}: expected the DICOM files that it names in {folder}, found {finding}")
    uid, number = str(facts.get("series_uid", "")), facts.get("series_number")
    return DicomSource(files, Path(folder), folder, uid, number=number if isinstance(number, int) else 0)
