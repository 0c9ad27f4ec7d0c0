"""The folders of a comparison of unsupervised pathology detection: CamCAN, BraTS 2020, ATLAS."""

from __future__ import annotations

from typing import ClassVar

from diffad.data.layouts.rules import Rule, RuleLayout
from diffad.registry import LAYOUTS


@LAYOUTS.register("upd")
class Upd(RuleLayout):
    """UPD: MRI/CamCAN healthy, MRI/BraTS and MRI/ATLAS with anomaly_segmentation, stripped and registered."""

    name = "upd"
    lesions = ("test",)
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            r"CamCAN/(?P<case>[^/]+)/[^/]*T1w_stripped_registered[^/]*", sequence="t1", split="train", label=0
        ),
        Rule(r"BraTS/[^/]*/(?P<case>[^/]+)/anomaly_segmentation\.nii(\.gz)?", "lesion", split="test"),
        Rule(
            r"BraTS/[^/]*/(?P<case>[^/]+)/[^/]*(?P<sequence>t1ce|t1|t2|flair)[^/]*registered[^/]*",
            split="test",
        ),
        Rule(
            r"ATLAS_2/Training/[^/]+/(?P<case>[^/]+)/.*anomaly_segmentation\.nii(\.gz)?",
            "lesion",
            split="test",
        ),
        Rule(
            r"ATLAS_2/Training/(?P<group>[^/]+)/(?P<case>[^/]+)/.*stripped_registered[^/]*",
            sequence="t1",
            split="test",
        ),
    )
