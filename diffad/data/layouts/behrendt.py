"""Healthy IXI for training, four data sets for tests, with splits in tables."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path
from typing import ClassVar

from diffad.data.layouts.base import Listing
from diffad.data.layouts.rules import Rule, RuleLayout
from diffad.registry import LAYOUTS


@LAYOUTS.register("behrendt")
class Behrendt(RuleLayout):
    """pDDPM and its kin: Train/ixi/{t1,t2,mask}, Test/{Brats21,MSLUB,...}/{t1,t2,mask,seg}, splits/*.csv."""

    name = "behrendt"
    lesions = ("test",)
    brains = True
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(r"(?P<split>Train)/(?P<group>[^/]+)/mask/(?P<case>[^/]+)_mask\.nii(\.gz)?", "brain"),
        Rule(
            r"(?P<split>Train)/(?P<group>[^/]+)/(?P<sequence>t1|t2)/(?P<case>[^/]+)_t[12]\.nii(\.gz)?",
            label=0,
        ),
        Rule(r"(?P<split>Test)/(?P<group>[^/]+)/mask/(?P<case>[^/]+)_mask\.nii(\.gz)?", "brain"),
        Rule(r"(?P<split>Test)/(?P<group>[^/]+)/seg/(?P<case>[^/]+)_seg\.nii(\.gz)?", "lesion"),
        Rule(r"(?P<split>Test)/(?P<group>[^/]+)/(?P<sequence>t1|t2)/(?P<case>[^/]+)_t[12]\.nii(\.gz)?"),
    )

    def subject_of(self, match: re.Match[str]) -> str:
        """Return the number in the hospital of IXI, else the whole name."""
        return subject(match["case"])

    def entries(self, root: Path) -> Listing:
        """As usual, and tell which subjects the tables of one fold have in two splits."""
        listing = super().entries(root)
        return Listing(listing.layout, listing.entries, listing.problems + leaks(root / "splits"))


def subject(name: str) -> str:
    """Return IXI002 of IXI002-Guys-0828; other names are subjects themselves."""
    found = re.match(r"IXI\d{3}", name, re.IGNORECASE)
    return found.group() if found else name


def leaks(folder: Path) -> list[str]:
    """Return a line for each subject that tables name for several splits of one fold."""
    homes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in sorted(folder.glob("*.csv")) if folder.is_dir() else ():
        fold = "".join(re.findall(r"fold\W?(\d+)", path.stem))
        split = next((s for s in ("train", "val", "test") if s in path.stem.lower()), "")
        with path.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                if row.get("img_name") and split:
                    homes[fold, subject(row["img_name"])].add(split)
    # a test table without a fold belongs to all of them
    for (fold, who), splits in list(homes.items()):
        if fold:
            splits |= homes.get(("", who), set())
    return [
        f"{folder}: subject {who} is in several splits{f' of fold {fold}' if fold else ''}: "
        + ", ".join(sorted(splits))
        for (fold, who), splits in sorted(homes.items())
        if len(splits) > 1
    ]
