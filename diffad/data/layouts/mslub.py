"""MSLUB: multiple sclerosis."""

from __future__ import annotations

from typing import ClassVar

from diffad.data.layouts.rules import Rule, RuleLayout
from diffad.registry import LAYOUTS


@LAYOUTS.register("mslub")
class Mslub(RuleLayout):
    """MSLUB: patient01/patient01_FLAIR.nii.gz and patient01_consensus_gt.nii.gz."""

    name = "mslub"
    sequences: ClassVar[dict[str, str]] = {"t1w": "t1", "t2w": "t2", "t1wks": "t1ce"}
    required_sequences = ("t1", "t2", "flair")
    lesion_splits = ("*",)
    one_entry_each = True
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(r"(?P<case>patient\d+)_consensus_gt\.nii(\.gz)?", "lesion"),
        Rule(r"(?P<case>patient\d+)_brainmask\.nii(\.gz)?", "brain"),
        Rule(r"(?P<case>patient\d+)_(?P<sequence>T1W|T2W|FLAIR|T1WKS)\.nii(\.gz)?"),
    )
