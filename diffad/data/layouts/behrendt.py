"""Healthy IXI for training, four data sets for tests, with splits in tables."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from diffad.data.layouts.base import Listing
from diffad.data.layouts.folders import describe_count
from diffad.data.layouts.rules import Rule, RuleLayout
from diffad.data.layouts.sheet import read_sheet
from diffad.registry import LAYOUTS


@LAYOUTS.register("behrendt")
class Behrendt(RuleLayout):
    """pDDPM and its kin: Train/ixi/{t1,t2,mask}, Test/{Brats21,MSLUB,...}/{t1,t2,mask,seg}, splits/*.csv."""

    name = "behrendt"
    lesions = ("test",)
    brains = True
    alike = True
    once = True
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
        return parse_subject(match["case"])

    def entries(self, root: Path) -> Listing:
        """As usual, and tell what is wrong with the tables of the folds."""
        listing = super().entries(root)
        return Listing(listing.layout, listing.entries, listing.problems + describe_leaks(root / "splits"))


def parse_subject(name: str) -> str:
    """Return IXI002 of IXI002-Guys-0828; other names are subjects themselves."""
    found = re.match(r"IXI\d{3}", name, re.IGNORECASE)
    return found.group().upper() if found else name


def describe_leaks(folder: Path) -> list[str]:
    """Return a line for each subject in several splits of a fold, and each table that repeats subjects."""
    homes: dict[tuple[str, str], set[str]] = defaultdict(set)
    told = []
    for path in sorted(folder.glob("*.csv")) if folder.is_dir() else ():
        split = next((s for s in ("train", "val", "test") if s in path.stem.lower()), "")
        table, faults = read_sheet(path)
        told += faults
        if split and table and "img_name" not in table[0]:
            told.append(f"{path}: expected a column img_name, found {', '.join(table[0])}")
        who = Counter(parse_subject(row["img_name"]) for row in table if split and row.get("img_name"))
        told += describe_count(
            [s for s, times in sorted(who.items()) if times > 1], path, "subjects listed twice"
        )
        for name in who:
            homes[_fold(path), name].add(split)
    return told + _shared(homes, folder)


def _fold(path: Path) -> str:
    found = re.search(r"fold[\W_]?(\d+)", path.stem, re.IGNORECASE)
    return found.group(1) if found else ""


def _shared(homes: Mapping[tuple[str, str], set[str]], folder: Path) -> list[str]:
    # a table without a fold belongs to all of them
    every = {who: splits for (fold, who), splits in homes.items() if not fold}
    together = {key: splits | every.get(key[1], set()) for key, splits in homes.items()}
    return [
        f"{folder}: subject {who} is in several splits{f' of fold {fold}' if fold else ''}: "
        + ", ".join(sorted(splits))
        for (fold, who), splits in sorted(together.items())
        if len(splits) > 1
    ]
