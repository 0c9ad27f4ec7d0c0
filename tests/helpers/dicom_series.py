"""DICOM series written from arrays, for tests: single-frame MR or CT, as a scanner lays them down."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Study:
    """What all series of one visit share."""

    patient: str = "DOE^JANE"
    patient_id: str = "PID-007"
    birth: str = "19700101"
    date: str = "20260102"
    study_uid: str = field(default_factory=generate_uid)
    frame_uid: str = field(default_factory=generate_uid)


def write_series(
    folder: Path,
    data: np.ndarray,
    affine: np.ndarray,
    *,
    study: Study | None = None,
    description: str = "t1_mprage_sag",
    number: int = 2,
    modality: str = "MR",
    tags: dict[str, Any] | None = None,
    skip: tuple[int, ...] = (),
    shuffle: bool = False,
    series_uid: str | None = None,
    prefix: str | None = None,
    syntax: str | None = None,
) -> str:
    """Write slices along the third axis of an array (I, J, K), RAS affine in mm; return the series UID.

    Args:
        folder: Where the files go; several series may share one.
        data: Grey values, whole numbers of 16 bits, or Hounsfield units.
        affine: Voxel to RAS mm.
        study: Patient and visit.
        description: SeriesDescription.
        number: SeriesNumber.
        modality: "MR" or "CT".
        tags: Further attributes by keyword, in every file.
        skip: Numbers of slices that are not written.
        shuffle: Name the files in another order than they lie in.
        series_uid: SeriesInstanceUID, where several calls write one series; a new one by default.
        prefix: First part of the names of the files; IM and the number by default.
        syntax: Transfer syntax that pydicom compresses to; none leaves the pixels plain.
    """
    study = study or Study()
    folder.mkdir(parents=True, exist_ok=True)
    lps = RAS_TO_LPS @ affine
    uid, order = series_uid or generate_uid(), np.arange(data.shape[2])
    names = np.random.default_rng(0).permutation(order) if shuffle else order
    for k in order:
        if k in skip:
            continue
        item = _make_slice(data[:, :, k], lps, int(k), modality)
        _add_facts(item, study, uid, description, number)
        for key, value in (tags or {}).items():
            setattr(item, key, value)
        if syntax is not None:
            item.compress(syntax, generate_instance_uid=False)
        name = f"{prefix or f'IM{number:03d}'}_{names[k]:04d}.dcm"
        item.save_as(folder / name, enforce_file_format=True)
    return str(uid)


def _make_slice(plane: np.ndarray, lps: np.ndarray, k: int, modality: str) -> FileDataset:
    """Make one image: columns run along the first axis of the array, rows along the second."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    item = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    item.SOPClassUID, item.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    item.Modality, item.InstanceNumber = modality, k + 1
    sizes = np.linalg.norm(lps[:3, :3], axis=0)
    item.ImageOrientationPatient = [*(lps[:3, 0] / sizes[0]).tolist(), *(lps[:3, 1] / sizes[1]).tolist()]
    item.ImagePositionPatient = [round(float(v), 6) for v in (lps @ [0, 0, k, 1])[:3]]
    item.PixelSpacing = [float(sizes[1]), float(sizes[0])]
    item.SliceThickness = item.SpacingBetweenSlices = float(sizes[2])
    item.Rows, item.Columns = plane.shape[1], plane.shape[0]
    item.SamplesPerPixel, item.PhotometricInterpretation = 1, "MONOCHROME2"
    item.BitsAllocated = item.BitsStored = 16
    item.HighBit, item.PixelRepresentation = 15, int(modality == "CT")
    if modality == "CT":
        item.RescaleSlope, item.RescaleIntercept, item.RescaleType = 1, 0, "HU"
    item.PixelData = np.ascontiguousarray(plane.T.astype("<i2" if modality == "CT" else "<u2")).tobytes()
    return item


def _add_facts(item: pydicom.Dataset, study: Study, uid: str, description: str, number: int) -> None:
    """Add patient, visit and series."""
    item.PatientName, item.PatientID, item.PatientBirthDate = study.patient, study.patient_id, study.birth
    item.PatientSex, item.ReferringPhysicianName, item.AccessionNumber = "O", "REFER^ANN", "A1"
    item.StudyInstanceUID, item.SeriesInstanceUID = study.study_uid, uid
    item.FrameOfReferenceUID, item.PositionReferenceIndicator = study.frame_uid, ""
    item.StudyDate = item.SeriesDate = item.AcquisitionDate = item.ContentDate = study.date
    item.StudyTime = item.SeriesTime = item.AcquisitionTime = item.ContentTime = "101500"
    item.StudyID, item.SeriesNumber, item.AcquisitionNumber = "S1", number, 1
    item.SeriesDescription, item.ProtocolName, item.StudyDescription = description, description, "HEAD"
    item.Manufacturer, item.ManufacturerModelName = "Siemens", "Phantom"
    item.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    item.EchoTime, item.RepetitionTime, item.InversionTime, item.FlipAngle = 2.9, 2300.0, 900.0, 9.0
    item.EchoNumbers, item.MRAcquisitionType = 1, "3D"
    item.ScanningSequence, item.SequenceVariant, item.ScanOptions = "GR", "SP", ""
    item.MagneticFieldStrength, item.BodyPartExamined, item.PatientPosition = 3.0, "HEAD", "HFS"
