"""The picture of a result as a DICOM secondary capture in the study of the scan."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from diffad.dicom.writer_facts import NOTICE, ObjectFacts
from diffad.io.extras import import_extra

IDENTIFIERS = "PatientID PatientName PatientBirthDate AccessionNumber OtherPatientNames"
"""What a title may hold of a patient."""
SHORTEST_IDENTIFIER = 3
"""Characters of a word that counts as an identifier."""


def make_capture(picture: Path, name: str, facts: ObjectFacts) -> Any:
    """Make the secondary capture of a picture.

    The title of the picture is the name of the scan; where that holds what identifies the patient, the object
    says that this is burned in.

    Args:
        picture: The montage that predict wrote, a PNG.
        name: Name of the scan.
        facts: What all objects have in common.

    Raises:
        OSError: If the picture cannot be read.
    """
    from PIL import Image

    highdicom = import_extra("highdicom", "dicom")
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB"))
    item = highdicom.sc.SCImage.from_ref_dataset(
        facts.series.headers[0],
        pixels,
        highdicom.PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=highdicom.CoordinateSystemNames.PATIENT,
        patient_orientation=("L", "P"),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **facts.describe_object("report"),
    )
    item.PatientOrientation = None  # several planes in one picture
    item.ConversionType = "WSD"
    item.DateOfSecondaryCapture, item.TimeOfSecondaryCapture = (
        facts.date.strftime("%Y%m%d"),
        facts.date.strftime("%H%M%S"),
    )
    item.BurnedInAnnotation = "YES" if has_identifier(name, facts.series.headers[0]) else "NO"
    item.DerivationDescription = f"picture of what diffad found, {NOTICE}"
    return facts.settle(item, "report")


def has_identifier(name: str, header: Any) -> bool:
    """Tell whether the name of a scan holds a word that identifies the patient of an image."""
    text = _squeeze(name)
    values = [str(header.get(keyword) or "") for keyword in IDENTIFIERS.split()]
    words = [_squeeze(word) for value in values for word in re.split(r"[\W_]+", value)]
    words += [_squeeze(value) for value in values]
    return any(len(word) >= SHORTEST_IDENTIFIER and word in text for word in words)


def _squeeze(text: str) -> str:
    """Leave letters and digits alone, in lower case."""
    return re.sub(r"[\W_]+", "", text).lower()
