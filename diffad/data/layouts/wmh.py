"""The WMH challenge: white matter hyperintensities."""

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

    Amsterdam has a folder for each scanner. Sequences that pre/ lacks are taken from orig/.
    """

    name = "wmh"
    required_sequences = ("flair", "t1")
    lesion_splits = ("*",)
    positive = (1,)
    ignored = (2,)
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(PLACE + r"wmh\.nii(\.gz)?", "lesion"),
        Rule(PLACE + r"pre/(?P<sequence>FLAIR|T1)\.nii(\.gz)?"),
        Rule(PLACE + r"orig/(?P<sequence>FLAIR|T1)\.nii(\.gz)?", spare=True),
        Rule(PLACE + r"orig/.*\.nii(\.gz)?", "other"),
        Rule(PLACE + r"pre/.*\.nii(\.gz)?", "other"),
    )

    def name_case(self, match: re.Match[str]) -> str:
        """Return hospital and number, since all hospitals count from 0."""
        return f"{match['group'].replace('/', '-')}-{match['case']}"

    def name_subject(self, match: re.Match[str]) -> str:
        """Return the name of the case, since everyone was scanned once."""
        return self.name_case(match)
