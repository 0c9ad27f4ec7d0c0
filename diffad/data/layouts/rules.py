"""Layouts that follow from names alone: patterns in, entries and problems out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from diffad.data.items import DataError
from diffad.data.layouts.base import Entry, Layout, Listing

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
VOLUMES = (".nii", ".nii.gz")
ROLES = ("image", "lesion", "brain")
SHOWN = 3
"""So many names are told where many files have one fault."""


@dataclass(frozen=True)
class Rule:
    """What one kind of file is called.

    Args:
        pattern: Regular expression of the end of a path below the root, whole folders and name, in capitals
            or not. Its groups "case", "subject", "sequence", "split" and "group" are read; "case" is what
            the files of one entry share.
        role: "image", "lesion" or "brain"; files of any other are known and passed over.
        sequence: Sequence of an image whose pattern has no such group.
        split: Split, alike.
        label: 1 for images that count as anomalous, 0 for healthy ones, none where the mask says.
    """

    pattern: str
    role: str = "image"
    sequence: str = "image"
    split: str | None = None
    label: int | None = None

    def match(self, path: str) -> re.Match[str] | None:
        """Match a path below the root, in posix form."""
        return re.fullmatch(rf"(?:.*/)?{self.pattern}", path, re.IGNORECASE)


@dataclass
class Case:
    """The files of one entry, as they are found."""

    subject: str = ""
    split: str | None = None
    label: int | None = None
    group: str = ""
    images: dict[str, Path] = field(default_factory=dict)
    masks: dict[str, Path] = field(default_factory=dict)


class RuleLayout(Layout):
    """A layout whose files are told by their names; a subclass says how.

    Attributes:
        rules: The first one that matches a file takes it.
        suffixes: Files that are looked at.
        sequences: What the names of sequences mean.
        needs: Sequences every entry should have.
        lesions: Splits whose entries should have a lesion mask unless their label is 0; "*" for all.
        brains: Whether every entry should have a brain mask.
        positive: As for ``Entry``.
        ignored: As for ``Entry``.
    """

    rules: ClassVar[tuple[Rule, ...]] = ()
    suffixes: ClassVar[tuple[str, ...]] = VOLUMES
    sequences: ClassVar[Mapping[str, str]] = {}
    needs: ClassVar[tuple[str, ...]] = ()
    lesions: ClassVar[tuple[str, ...]] = ()
    brains: ClassVar[bool] = False
    positive: ClassVar[tuple[int, ...] | None] = None
    ignored: ClassVar[tuple[int, ...]] = ()
    name: ClassVar[str] = ""

    def fits(self, root: Path) -> int:
        """Return how many files a rule takes."""
        return sum(self._ruled(path, root) is not None for path in files(root, self.suffixes))

    def entries(self, root: Path) -> Listing:
        """Gather the files of every case, and say what is missing or left over.

        Raises:
            DataError: If no file fits.
        """
        cases: dict[str, Case] = defaultdict(Case)
        strangers, problems = [], []
        for path in files(root, self.suffixes):
            found = self._ruled(path, root)
            if found is None:
                strangers.append(path)
            elif found[0].role in ROLES and (told := self._put(cases, path, *found)):
                problems.append(told)
        made = [self._entry(name, case) for name, case in sorted(cases.items()) if case.images]
        if not made:
            raise DataError(f"{root}: expected files named as in layout {self.name!r}, found none")
        problems += [line for name, case in sorted(cases.items()) for line in self._faults(name, case, root)]
        problems += told_of(strangers, root, "files that fit no rule") + divided(made, root)
        return Listing(self.name, made, problems)

    def case_of(self, match: re.Match[str]) -> str:
        """Return what the files of one entry share; a subclass may put it together from other groups."""
        return match["case"]

    def subject_of(self, match: re.Match[str]) -> str:
        """Return who was scanned."""
        return match.groupdict().get("subject") or match["case"]

    def _ruled(self, path: Path, root: Path) -> tuple[Rule, re.Match[str]] | None:
        inside = path.relative_to(root).as_posix()
        return next(((rule, m) for rule in self.rules if (m := rule.match(inside))), None)

    def _put(self, cases: dict[str, Case], path: Path, rule: Rule, match: re.Match[str]) -> str | None:
        case, groups = cases[self.case_of(match)], match.groupdict()
        case.subject = self.subject_of(match)
        case.split = groups.get("split") or rule.split or case.split
        case.group = groups.get("group") or case.group
        case.label = rule.label if rule.label is not None else case.label
        told = (groups.get("sequence") or rule.sequence).lower()
        where = case.images if rule.role == "image" else case.masks
        key = self.sequences.get(told, told) if rule.role == "image" else rule.role
        if key in where:
            return f"{path}: a second {key} of {self.case_of(match)}, beside {where[key]}; left out"
        where[key] = path
        return None

    def _entry(self, name: str, case: Case) -> Entry:
        split = case.split and SPLITS.get(case.split.lower(), case.split.lower())
        masks = {"lesion": case.masks.get("lesion"), "brain": case.masks.get("brain")}
        values = {"positive": self.positive, "ignored": self.ignored}
        return Entry(
            name, case.subject, case.images, split=split, label=case.label, group=case.group,
            **masks, **values,  # type: ignore[arg-type]
        )  # fmt: skip

    def _faults(self, name: str, case: Case, root: Path) -> Iterator[str]:
        if not case.images:
            yield f"{next(iter(case.masks.values()))}: a mask, but no image of {name} in {root}"
            return
        at = next(iter(case.images.values()))
        if missing := [s for s in self.needs if s not in case.images]:
            yield f"{at.parent}: expected {', '.join(missing)} of {name}, found {', '.join(case.images)}"
        split = self._entry(name, case).split or ""
        wanted = case.label != 0 and ("*" in self.lesions or split in self.lesions)
        if wanted and "lesion" not in case.masks:
            yield f"{at}: expected a lesion mask of {name}, found none"
        if self.brains and "brain" not in case.masks:
            yield f"{at}: expected a brain mask of {name}, found none"


SPLITS = {"training": "train", "testing": "test", "valid": "val", "validation": "val"}


def files(root: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """List the files below a folder with one of the suffixes, sorted, without hidden ones.

    Raises:
        DataError: If there is no such folder.
    """
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder, found none")
    every = (p for p in root.rglob("*") if p.name.lower().endswith(suffixes))
    return sorted(p for p in every if not p.name.startswith(".") and p.is_file())


def told_of(paths: list[Path], root: Path, what: str) -> list[str]:
    """Say in one line how many files have a fault, and name the first few."""
    if not paths:
        return []
    names = ", ".join(p.relative_to(root).as_posix() for p in paths[:SHOWN])
    return [f"{root}: {len(paths)} {what}: {names}" + (", ..." if len(paths) > SHOWN else "")]


def divided(entries: list[Entry], root: Path) -> list[str]:
    """Name the subjects that lie in two splits, and the names that are there twice."""
    homes: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.split:
            homes[entry.subject].add(entry.split)
    return [
        f"{root}: subject {subject} is in several splits: {', '.join(sorted(splits))}"
        for subject, splits in sorted(homes.items())
        if len(splits) > 1
    ]
