"""IXI as it is downloaded: one folder for each sequence."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import ClassVar

from diffad.data.layouts.base import Listing
from diffad.data.layouts.folders import describe_count
from diffad.data.layouts.rules import Rule, RuleLayout
from diffad.data.layouts.sheet import read_sheet
from diffad.registry import LAYOUTS

SCAN = r"(?P<case>(?P<subject>IXI\d{3})-(?P<group>[A-Za-z]+)-\d{4})-"


@LAYOUTS.register("ixi")
class Ixi(RuleLayout):
    """IXI: IXI-T1/IXI002-Guys-0828-T1.nii.gz; healthy subjects of three hospitals."""

    name = "ixi"
    same_sequences = True
    one_entry_each = True
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(SCAN + r"(?P<sequence>T1|T2|PD|MRA)\.nii(\.gz)?", label=0),
        Rule(SCAN + r"DTI-\d+\.nii(\.gz)?", "other"),
    )

    def entries(self, root: Path) -> Listing:
        """List entries and problems as usual, and the numbers that a CSV of subjects repeats."""
        listing = super().entries(root)
        problems = [line for path in sorted(root.glob("*.csv")) for line in _describe_repeats(path)]
        return Listing(listing.layout, listing.entries, listing.problems + problems)


def _describe_repeats(path: Path) -> list[str]:
    table, faults = read_sheet(path)
    numbers = Counter(row["ixi_id"] for row in table if row.get("ixi_id"))
    return faults + describe_count(
        [n for n, count in sorted(numbers.items()) if count > 1],
        path,
        "numbers listed more than once in IXI_ID",
    )
