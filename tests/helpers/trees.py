"""Data sets in miniature, laid out as they are given out, with tiny NIfTI files."""

import csv
from pathlib import Path

import nibabel as nib
import numpy as np

BRATS = ("t1", "t1ce", "t2", "flair", "seg")


def nifti(path: Path, seed=0, labels=None):
    """Write a NIfTI file of 4 x 4 x 2 voxels: noise, or the labels given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(seed).random((4, 4, 2)).astype(np.float32)
    if labels is not None:
        data = np.resize(np.array(labels, dtype=np.uint8), (4, 4, 2))
    nib.save(nib.Nifti1Image(data, np.eye(4)), path)
    return path


def table(path: Path, columns, rows):
    """Write a CSV, and the folders it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def brats2020(root: Path):
    """Two training cases, and one without a mask for validation."""
    for case in ("Training_001", "Training_002", "Validation_001"):
        name = f"BraTS20_{case}"
        top = root / f"MICCAI_BraTS2020_{case.split('_')[0]}Data" / name
        for what in BRATS[: 4 if "Validation" in case else 5]:
            nifti(top / f"{name}_{what}.nii", labels=(0, 1, 2, 4) if what == "seg" else None)
    return root


def brats2021(root: Path, cases=3):
    """Cases 00000, 00002, 00004, ..."""
    for name in (f"BraTS2021_{2 * i:05d}" for i in range(cases)):
        for what in BRATS:
            nifti(root / name / f"{name}_{what}.nii.gz", labels=(0, 1, 2, 4) if what == "seg" else None)
    return root


def brats2023(root: Path):
    """One glioma scanned twice, and a meningioma."""
    for name in ("BraTS-GLI-00005-000", "BraTS-GLI-00005-001", "BraTS-MEN-00004-000"):
        for what in ("t1n", "t1c", "t2w", "t2f", "seg"):
            nifti(root / name / f"{name}-{what}.nii.gz", labels=(0, 1, 2, 3) if what == "seg" else None)
    return root


def ixi(root: Path):
    """Three subjects of three hospitals, T1 and T2."""
    for name in ("IXI002-Guys-0828", "IXI012-HH-1211", "IXI035-IOP-0873"):
        for sequence in ("T1", "T2"):
            nifti(root / f"IXI-{sequence}" / f"{name}-{sequence}.nii.gz")
    (root / "IXI.xls").write_bytes(b"not read")
    return root


ATLAS_END = "ses-1_space-MNI152NLin2009aSym"


def atlas2(root: Path):
    """Two training subjects of two cohorts, and one for tests, whose mask is kept back."""
    for split, cohort, subject in (
        ("Training", "R042", "002"),
        ("Training", "R001", "001"),
        ("Testing", "R050", "001"),
    ):
        who = f"sub-{cohort.lower()}s{subject}"
        folder = root / "ATLAS_2" / split / cohort / who / "ses-1" / "anat"
        nifti(folder / f"{who}_{ATLAS_END}_T1w.nii.gz")
        if split == "Training":
            nifti(folder / f"{who}_{ATLAS_END}_label-L_desc-T1lesion_mask.nii.gz", labels=(0, 1))
    return root


def mslub(root: Path):
    """Two patients."""
    for name in ("patient01", "patient02"):
        for what in ("T1W", "T2W", "FLAIR", "consensus_gt"):
            nifti(root / name / f"{name}_{what}.nii.gz", labels=(0, 1) if what == "consensus_gt" else None)
    return root


def wmh(root: Path):
    """Subject 0 of Utrecht and of Amsterdam, subject 50 of Singapore."""
    for place in ("Utrecht/0", "Amsterdam/GE3T/0", "Singapore/50"):
        for what in ("pre/FLAIR", "pre/T1", "orig/FLAIR", "orig/T1", "orig/3DT1"):
            nifti(root / place / f"{what}.nii.gz")
        nifti(root / place / "wmh.nii.gz", labels=(0, 1, 2))
    return root


FASTMRI = ("file", "slice", "study_level", "x", "y", "width", "height", "label")


def fastmri_plus(root: Path):
    """Two boxes and a second label on one slice, a whole healthy scan; one scan as NIfTI, one as HDF5."""
    rows = (
        ("file_brain_AXT1_202_0000001", 3, "No", 10, 20, 5, 6, "Edema"),
        ("file_brain_AXT1_202_0000001", 3, "No", 30, 40, 7, 8, "Edema"),
        ("file_brain_AXT1_202_0000001", 3, "No", 1, 2, 3, 4, "Mass"),
        ("file_brain_AXT1_202_0000002", 0, "Yes", "", "", "", "", "Global label: Normal for age"),
    )
    table(root / "Annotations" / "brain.csv", FASTMRI, rows)
    nifti(root / "scans" / "file_brain_AXT1_202_0000001.nii.gz")
    (root / "scans" / "file_brain_AXT1_202_0000002.h5").write_bytes(b"not read")
    return root


def upd(root: Path):
    """A healthy subject, a tumour and a stroke, with the files they were made from."""
    mri = root / "MRI"
    nifti(mri / "CamCAN" / "sub-CC110033" / "sub-CC110033_T1w_stripped_registered.nii.gz")
    nifti(mri / "CamCAN" / "sub-CC110033" / "sub-CC110033_T1w.nii.gz")
    tumour = mri / "BraTS" / "MICCAI_BraTS2020_TrainingData" / "BraTS20_Training_001"
    for what in ("t1", "t2", "flair", "t1ce"):
        nifti(tumour / f"BraTS20_Training_001_{what}_registered.nii")
        nifti(tumour / f"BraTS20_Training_001_{what}.nii")
    nifti(tumour / "BraTS20_Training_001_seg.nii", labels=(0, 1, 2, 4))
    nifti(tumour / "anomaly_segmentation.nii", labels=(0, 1))
    stroke = mri / "ATLAS" / "ATLAS_2" / "Training" / "R001" / "sub-r001s001" / "ses-1" / "anat"
    nifti(stroke / f"sub-r001s001_{ATLAS_END}_T1w_stripped_registered.nii.gz")
    nifti(stroke / f"sub-r001s001_{ATLAS_END}_T1w.nii.gz")
    nifti(stroke / f"sub-r001s001_{ATLAS_END}_label-L_desc-T1lesion_mask.nii.gz", labels=(0, 1))
    nifti(stroke / "anomaly_segmentation.nii.gz", labels=(0, 1))
    return root


def behrendt(root: Path):
    """Two healthy subjects, one tumour and one patient with MS; clean tables of one fold."""
    for name in ("IXI002-Guys-0828", "IXI012-HH-1211"):
        for what in ("t1", "t2", "mask"):
            nifti(
                root / "Train" / "ixi" / what / f"{name}_{what}.nii.gz",
                labels=(1,) if what == "mask" else None,
            )
    for group, name in (("Brats21", "BraTS2021_01122"), ("MSLUB", "patient29")):
        for what in ("t2", "mask", "seg"):
            nifti(
                root / "Test" / group / what / f"{name}_{what}.nii.gz",
                labels=None if what == "t2" else (0, 1),
            )
    fold(root, "IXI_train_fold0", "IXI002-Guys-0828")
    fold(root, "IXI_val_fold0", "IXI012-HH-1211")
    return root


def fold(root: Path, name, *images):
    """Write a table of a split."""
    return table(root / "splits" / f"{name}.csv", ("img_name", "age"), [(image, 40) for image in images])


TREES = {
    "brats2020": brats2020, "brats2021": brats2021, "brats2023": brats2023, "ixi": ixi, "atlas2": atlas2,
    "mslub": mslub, "wmh": wmh, "fastmri_plus": fastmri_plus, "upd": upd, "behrendt": behrendt,
}  # fmt: skip


def uadimag(root: Path):
    """Two scans with strokes, and a healthy one whose mask is empty."""
    for study, number, sequences in (
        ("ATLAS", 1, ("T1w",)),
        ("ATLAS", 2, ("T1w", "T2w")),
        ("CAMCAN", 3, ("T1w",)),
    ):
        stem = root / study / f"sub-{number:02}" / "anat" / f"sub-{number:02}"
        for sequence in sequences:
            nifti(stem.with_name(f"{stem.name}_{sequence}.nii.gz"))
        labels = (0, 1) if study == "ATLAS" else (0,)
        nifti(stem.with_name(f"{stem.name}_seg-anomaly_mask.nii.gz"), labels=labels)
    return root
