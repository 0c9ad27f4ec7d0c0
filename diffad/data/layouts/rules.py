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
from diffad.data.layouts.folders import describe_divided_subjects as describe_divided_subjects
from diffad.data.layouts.folders import describe_faults as describe_faults
from diffad.data.layouts.folders import describe_repeated_subjects, list_empty_folders
from diffad.data.layouts.folders import list_files as list_files

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
VOLUMES = (".nii", ".nii.gz")
ROLES = ("image", "lesion", "brain")
SPLITS = {"training": "train", "testing": "test", "valid": "val", "validation": "val"}


@dataclass(frozen=True)
class Rule:
    """What one kind of file is called.

    Args:
        pattern: Regular expression of the end of a path, from the root's own name on: whole folders and name,
            in capitals or not. Its groups "case", "subject", "sequence", "split" and "group" are read; "case"
            is what the files of one entry share.
        role: "image", "lesion" or "brain"; files of any other are known and passed over.
        sequence: Sequence of an image whose pattern has no such group.
        split: Split, alike.
        label: 1 for images that count as anomalous, 0 for healthy ones, none where the mask says.
        spare: Whether the file serves only where no other rule found one.
    """

    pattern: str
    role: str = "image"
    sequence: str = "image"
    split: str | None = None
    label: int | None = None
    spare: bool = False

    def match(self, path: str) -> re.Match[str] | None:
        """Match a path in posix form."""
        # lazy, so that folders which the pattern may have or not are the pattern's, not the prefix's
        return re.fullmatch(rf"(?:.*?/)??{self.pattern}", path, re.IGNORECASE)


@dataclass
class EntryFiles:
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
        alike: Whether every entry should have the sequences that others of its group have.
        once: Whether a subject should have one entry.
        lesions: Splits whose entries should have a lesion mask unless their label is 0; "*" for all.
        brains: Whether every entry should have a brain mask.
        positive: As for ``Entry``.
        ignored: As for ``Entry``.
    """

    rules: ClassVar[tuple[Rule, ...]] = ()
    suffixes: ClassVar[tuple[str, ...]] = VOLUMES
    sequences: ClassVar[Mapping[str, str]] = {}
    needs: ClassVar[tuple[str, ...]] = ()
    alike: ClassVar[bool] = False
    once: ClassVar[bool] = False
    lesions: ClassVar[tuple[str, ...]] = ()
    brains: ClassVar[bool] = False
    positive: ClassVar[tuple[int, ...] | None] = None
    ignored: ClassVar[tuple[int, ...]] = ()
    name: ClassVar[str] = ""

    def fits(self, root: Path) -> int:
        """Return how many files a rule takes; 0 if none is an image."""
        found = [told for path in list_files(root, self.suffixes) if (told := self._ruled(path, root))]
        return len(found) if any(rule.role == "image" for rule, _ in found) else 0

    def entries(self, root: Path) -> Listing:
        """Gather the files of every case, and say what is missing or left over.

        Raises:
            DataError: If no file fits.
        """
        found = [(path, self._ruled(path, root)) for path in list_files(root, self.suffixes)]
        taken = [(path, *told) for path, told in found if told and told[0].role in ROLES]
        cases: dict[str, EntryFiles] = defaultdict(EntryFiles)
        problems = [
            line
            for path, rule, match in sorted(taken, key=lambda one: one[1].spare)
            if (line := self._put(cases, path, rule, match))
        ]
        made = [self._entry(name, case) for name, case in sorted(cases.items()) if case.images]
        if not made:
            raise DataError(f"{root}: expected files named as in layout {self.name!r}, found none")
        problems += self._missing(cases, root)
        problems += describe_faults(
            [path for path, told in found if not told], root, "files that fit no rule"
        )
        problems += describe_faults(
            list_empty_folders(root), root, "empty folders"
        ) + describe_divided_subjects(made, root)
        return Listing(
            self.name, made, problems + (describe_repeated_subjects(made, root) if self.once else [])
        )

    def case_of(self, match: re.Match[str]) -> str:
        """Return what the files of one entry share; a subclass may put it together from other groups."""
        return match["case"]

    def subject_of(self, match: re.Match[str]) -> str:
        """Return who was scanned."""
        return match.groupdict().get("subject") or match["case"]

    def _ruled(self, path: Path, root: Path) -> tuple[Rule, re.Match[str]] | None:
        # the root may itself be a folder that patterns name, such as Training or a case
        inside = f"{root.resolve().name}/{path.relative_to(root).as_posix()}"
        return next(((rule, m) for rule in self.rules if (m := rule.match(inside))), None)

    def _put(self, cases: dict[str, EntryFiles], path: Path, rule: Rule, match: re.Match[str]) -> str | None:
        case, groups = cases[self.case_of(match)], match.groupdict()
        told = (groups.get("sequence") or rule.sequence).lower()
        where = case.images if rule.role == "image" else case.masks
        key = self.sequences.get(told, told) if rule.role == "image" else rule.role
        if key in where:
            return (
                None
                if rule.spare
                else f"{path}: a second {key} of {self.case_of(match)}, beside {where[key]}; left out"
            )
        case.subject = self.subject_of(match)
        case.split = groups.get("split") or rule.split or case.split
        case.group = groups.get("group") or case.group
        case.label = rule.label if rule.label is not None else case.label
        where[key] = path
        return None

    def _entry(self, name: str, case: EntryFiles) -> Entry:
        masks = {"lesion": case.masks.get("lesion"), "brain": case.masks.get("brain")}
        values = {"positive": self.positive, "ignored": self.ignored}
        return Entry(
            name, case.subject, case.images, split=_split(case), label=case.label, group=case.group,
            **masks, **values,  # type: ignore[arg-type]
        )  # fmt: skip

    def _missing(self, cases: Mapping[str, EntryFiles], root: Path) -> list[str]:
        wanting = [case for case in cases.values() if case.images and self._wants_lesion(case)]
        # a folder given out without masks is told of once, not case by case
        bare = len(wanting) > 1 and not any("lesion" in case.masks for case in wanting)
        told = [f"{root}: expected lesion masks, found none for {len(wanting)} cases"] if bare else []
        usual: dict[tuple[str, str | None], set[str]] = defaultdict(lambda: set(self.needs))
        for case in cases.values() if self.alike else ():
            usual[case.group, case.split] |= set(case.images)
        for name, case in sorted(cases.items()):
            told += self._faults(name, case, sorted(usual[case.group, case.split]), bare)
        return told

    def _wants_lesion(self, case: EntryFiles) -> bool:
        return case.label != 0 and bool({"*", _split(case)} & set(self.lesions))

    def _faults(self, name: str, case: EntryFiles, needed: list[str], bare: bool) -> Iterator[str]:
        if not case.images:
            yield f"{next(iter(case.masks.values()))}: a mask, but no image of {name}"
            return
        at = next(iter(case.images.values()))
        if missing := [s for s in needed if s not in case.images]:
            yield f"{at.parent}: expected {', '.join(missing)} of {name}, found {', '.join(case.images)}"
        if "lesion" not in case.masks and self._wants_lesion(case) and not bare:
            yield f"{at}: expected a lesion mask of {name}, found none"
        if self.brains and "brain" not in case.masks:
            yield f"{at}: expected a brain mask of {name}, found none"


def _split(case: EntryFiles) -> str | None:
    return case.split and SPLITS.get(case.split.lower(), case.split.lower())
