"""ATLAS v2: strokes on T1."""

from __future__ import annotations

from typing import ClassVar

from diffad.data.layouts.rules import Rule, RuleLayout
from diffad.registry import LAYOUTS

FOLDERS = r"(?:(?P<split>Training|Testing)/)?(?:(?P<group>R\d+)/)?sub-[^/]+/ses-[^/]+/anat/"
CASE = r"(?P<case>sub-(?P<subject>[A-Za-z0-9]+)_ses-[A-Za-z0-9]+)_(?:space-[A-Za-z0-9]+_)?"


@LAYOUTS.register("atlas2")
class Atlas2(RuleLayout):
    """ATLAS v2: Training/R001/sub-r001s001/ses-1/anat/*_T1w.nii.gz and *_desc-T1lesion_mask.nii.gz.

    The group is the cohort, such as R001; Testing has no masks.
    """

    name = "atlas2"
    lesion_splits = ("train",)
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(FOLDERS + CASE + r"label-L_desc-T1lesion_mask\.nii(\.gz)?", "lesion"),
        Rule(FOLDERS + CASE + r"T1w\.nii(\.gz)?", sequence="t1"),
    )
