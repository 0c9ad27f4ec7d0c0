"""The data of a comparison of unsupervised pathology detection: CamCAN, BraTS 2020, ATLAS."""

from __future__ import annotations

import re
from typing import ClassVar

from diffad.data.layouts.rules import Rule, RuleLayout
from diffad.registry import LAYOUTS

BRATS = r"BraTS/[^/]+/(?P<case>[^/]+)/"
ATLAS = r"ATLAS_2/Training/(?P<group>[^/]+)/(?P<case>[^/]+)/(?P<session>[^/]+)/[^/]+/"


@LAYOUTS.register("upd")
class Upd(RuleLayout):
    """UPD: MRI/CamCAN healthy, MRI/BraTS and MRI/ATLAS with anomaly_segmentation, stripped and registered.

    The original files may lie beside them; they are passed over.
    """

    name = "upd"
    lesion_splits = ("test",)
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            r"CamCAN/(?P<case>[^/]+)/[^/]*T1w_stripped_registered[^/]*", sequence="t1", split="train", label=0
        ),
        Rule(BRATS + r"anomaly_segmentation\.nii(\.gz)?", "lesion", split="test"),
        Rule(BRATS + r"[^/]*_(?P<sequence>t1ce|t1|t2|flair)_[^/]*registered[^/]*", split="test"),
        Rule(ATLAS + r"anomaly_segmentation\.nii(\.gz)?", "lesion", split="test"),
        Rule(ATLAS + r"[^/]*stripped_registered[^/]*", sequence="t1", split="test"),
        Rule(r"(?:CamCAN|BraTS/[^/]+|ATLAS_2/Training/[^/]+)/(?P<case>[^/]+)/.*", "other"),
    )

    def name_case(self, match: re.Match[str]) -> str:
        """Return the folder, and the session if there is one."""
        return "_".join(filter(None, (match["case"], match.groupdict().get("session"))))

    def name_subject(self, match: re.Match[str]) -> str:
        """Return the folder."""
        return match["case"]
