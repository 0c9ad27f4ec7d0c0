"""IXI as it is downloaded: one folder a sequence."""

from __future__ import annotations

from typing import ClassVar

from diffad.data.layouts.rules import Rule, RuleLayout
from diffad.registry import LAYOUTS


@LAYOUTS.register("ixi")
class Ixi(RuleLayout):
    """IXI: IXI-T1/IXI002-Guys-0828-T1.nii.gz; healthy subjects of three hospitals."""

    name = "ixi"
    sequences: ClassVar[dict[str, str]] = {"pd": "pd", "mra": "mra"}
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            r"(?P<case>(?P<subject>IXI\d{3})-(?P<group>[A-Za-z]+)-\d{4})-(?P<sequence>T1|T2|PD|MRA)\.nii(\.gz)?",
            label=0,
        ),
    )
