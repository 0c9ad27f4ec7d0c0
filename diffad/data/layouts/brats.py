"""BraTS as it was published: 2020, 2021, and from 2023 on."""

from __future__ import annotations

from typing import ClassVar

from diffad.data.layouts.rules import Rule, RuleLayout
from diffad.registry import LAYOUTS

SEQUENCES = {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}
VISIT = r"(?P<case>(?P<subject>BraTS-(?P<group>[A-Z]+)-\d{5})(?:-\d{3})?)"
"""Task (GLI, MEN, MET, PED, SSA), subject, and visit, which one task lacks."""


class Brats(RuleLayout):
    """Four sequences and a tumour mask in a folder for each case; every label above 0 is tumour."""

    required_sequences = ("t1", "t1ce", "t2", "flair")
    sequences = SEQUENCES
    lesion_splits = ("*",)


@LAYOUTS.register("brats2020")
class Brats2020(Brats):
    """BraTS 2020: BraTS20_Training_001/BraTS20_Training_001_flair.nii; no masks in BraTS20_Validation."""

    name = "brats2020"
    lesion_splits = ("train",)
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(r"(?P<case>BraTS20_(?P<split>Training|Validation)_\d{3})_seg\.nii(\.gz)?", "lesion"),
        # the mask of case 355 was published under another name
        Rule(r"(?P<case>BraTS20_(?P<split>Training)_\d{3})/W39_[^/]*_Segm\.nii(\.gz)?", "lesion"),
        Rule(
            r"(?P<case>BraTS20_(?P<split>Training|Validation)_\d{3})_(?P<sequence>t1|t1ce|t2|flair)\.nii(\.gz)?"
        ),
    )


@LAYOUTS.register("brats2021")
class Brats2021(Brats):
    """BraTS 2021: BraTS2021_00000/BraTS2021_00000_flair.nii.gz."""

    name = "brats2021"
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(r"BraTS2021_\d{5}/(?P<case>BraTS2021_\d{5})_seg\.nii(\.gz)?", "lesion"),
        Rule(r"BraTS2021_\d{5}/(?P<case>BraTS2021_\d{5})_(?P<sequence>t1|t1ce|t2|flair)\.nii(\.gz)?"),
    )


@LAYOUTS.register("brats2023")
class Brats2023(Brats):
    """BraTS 2023 and later: BraTS-GLI-00000-000/BraTS-GLI-00000-000-t2f.nii.gz, the last digits a visit."""

    name = "brats2023"
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(VISIT + r"-seg\.nii(\.gz)?", "lesion"),
        Rule(VISIT + r"-(?P<sequence>t1n|t1c|t2w|t2f)\.nii(\.gz)?"),
    )
