"""The challenge of white matter hyperintensities."""

from __future__ import annotations

import re
from typing import ClassVar

from diffad.data.layouts.rules import Rule, RuleLayout
from diffad.registry import LAYOUTS

PLACE = (
    r"(?:(?P<split>training|test)/)?(?P<group>Utrecht|Singapore|Amsterdam(?:/[^/]+)?)/(?P<case>[A-Za-z0-9]+)/"
)


@LAYOUTS.register("wmh")
class Wmh(RuleLayout):
    """WMH: Utrecht/0/pre/FLAIR.nii.gz and Utrecht/0/wmh.nii.gz; 1 is lesion, 2 does not count.

    Amsterdam has a folder for each scanner. What pre/ lacks is taken from orig/.
    """

    name = "wmh"
    needs = ("flair", "t1")
    lesions = ("*",)
    positive = (1,)
    ignored = (2,)
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(PLACE + r"wmh\.nii(\.gz)?", "lesion"),
        Rule(PLACE + r"pre/(?P<sequence>FLAIR|T1)\.nii(\.gz)?"),
        Rule(PLACE + r"orig/(?P<sequence>FLAIR|T1)\.nii(\.gz)?", spare=True),
        Rule(PLACE + r"orig/.*\.nii(\.gz)?", "other"),
        Rule(PLACE + r"pre/.*\.nii(\.gz)?", "other"),
    )

    def case_of(self, match: re.Match[str]) -> str:
        """Return hospital and number, as hospitals count alike."""
        return f"{match['group'].replace('/', '-')}-{match['case']}"

    def subject_of(self, match: re.Match[str]) -> str:
        """Return the same: everyone was scanned once."""
        return self.case_of(match)
