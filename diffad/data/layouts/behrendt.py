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
    lesion_splits = ("test",)
    brain_masks = True
    same_sequences = True
    one_entry_each = True
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

    def name_subject(self, match: re.Match[str]) -> str:
        """Return the IXI number where there is one, else the whole name."""
        return parse_subject(match["case"])

    def entries(self, root: Path) -> Listing:
        """List entries and problems as usual, and the problems of the tables of the folds."""
        listing = super().entries(root)
        return Listing(listing.layout, listing.entries, listing.problems + describe_leaks(root / "splits"))


def parse_subject(name: str) -> str:
    """Return IXI002 for IXI002-Guys-0828; other names are subjects themselves."""
    match = re.match(r"IXI\d{3}", name, re.IGNORECASE)
    return match.group().upper() if match else name


def describe_leaks(folder: Path) -> list[str]:
    """Return a line for each subject in several splits of a fold, and each table that repeats subjects."""
    splits_of: dict[tuple[str, str], set[str]] = defaultdict(set)
    problems = []
    for path in sorted(folder.glob("*.csv")) if folder.is_dir() else ():
        split = next((s for s in ("train", "val", "test") if s in path.stem.lower()), "")
        table, faults = read_sheet(path)
        problems += faults
        if split and table and "img_name" not in table[0]:
            problems.append(f"{path}: expected a column img_name, found {', '.join(table[0])}")
        counts = Counter(parse_subject(row["img_name"]) for row in table if split and row.get("img_name"))
        problems += describe_count(
            [s for s, count in sorted(counts.items()) if count > 1], path, "subjects listed more than once"
        )
        for name in counts:
            splits_of[_parse_fold(path), name].add(split)
    return problems + _describe_shared_subjects(splits_of, folder)


def _parse_fold(path: Path) -> str:
    match = re.search(r"fold[\W_]?(\d+)", path.stem, re.IGNORECASE)
    return match.group(1) if match else ""


def _describe_shared_subjects(splits_of: Mapping[tuple[str, str], set[str]], folder: Path) -> list[str]:
    # a table without a fold belongs to all folds
    foldless = {subject: splits for (fold, subject), splits in splits_of.items() if not fold}
    unions = {key: splits | foldless.get(key[1], set()) for key, splits in splits_of.items()}
    return [
        f"{folder}: expected each subject in one split{f' of fold {fold}' if fold else ''}, "
        f"found {subject} in {', '.join(sorted(splits))}"
        for (fold, subject), splits in sorted(unions.items())
        if len(splits) > 1
    ]
