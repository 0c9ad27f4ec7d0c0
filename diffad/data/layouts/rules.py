"""Layouts that follow from the names of files: patterns in, entries and problems out."""

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
    """How one kind of file is named.

    Args:
        pattern: Regular expression of the end of a path, from the name of the root on: whole folders and the
            name, in any case. Its groups "case", "subject", "sequence", "split" and "group" are read; "case"
            is what the files of one entry share.
        role: "image", "lesion" or "brain"; files of any other role are known and passed over.
        sequence: Sequence of an image whose pattern has no such group.
        split: Split of a file whose pattern has no such group.
        label: 1 for images that count as anomalous, 0 for healthy ones, none where the mask says.
        spare: Whether the file is used only where no other rule gives one.
    """

    pattern: str
    role: str = "image"
    sequence: str = "image"
    split: str | None = None
    label: int | None = None
    spare: bool = False

    def match(self, path: str) -> re.Match[str] | None:
        """Match a path in POSIX form."""
        # lazy, so that optional folders belong to the pattern, not to the prefix
        return re.fullmatch(rf"(?:.*?/)??{self.pattern}", path, re.IGNORECASE)


@dataclass
class EntryFiles:
    """The files of one entry, collected one by one."""

    subject: str = ""
    split: str | None = None
    label: int | None = None
    group: str = ""
    images: dict[str, Path] = field(default_factory=dict)
    masks: dict[str, Path] = field(default_factory=dict)


class RuleLayout(Layout):
    """A layout that follows from the names of the files; a subclass holds the rules.

    Attributes:
        rules: Rules in the order in which they are tried; a file belongs to the first that matches.
        suffixes: Suffixes of the files that are considered.
        sequences: Standard names of sequences by the names in the files.
        required_sequences: Sequences that every entry should have.
        same_sequences: Whether every entry should have the sequences that others of its group have.
        one_entry_each: Whether a subject should have one entry only.
        lesion_splits: Splits whose entries should have a lesion mask unless their label is 0; "*" for all.
        brain_masks: Whether every entry should have a brain mask.
        positive: As for ``Entry``.
        ignored: As for ``Entry``.
    """

    rules: ClassVar[tuple[Rule, ...]] = ()
    suffixes: ClassVar[tuple[str, ...]] = VOLUMES
    sequences: ClassVar[Mapping[str, str]] = {}
    required_sequences: ClassVar[tuple[str, ...]] = ()
    same_sequences: ClassVar[bool] = False
    one_entry_each: ClassVar[bool] = False
    lesion_splits: ClassVar[tuple[str, ...]] = ()
    brain_masks: ClassVar[bool] = False
    positive: ClassVar[tuple[int, ...] | None] = None
    ignored: ClassVar[tuple[int, ...]] = ()
    name: ClassVar[str] = ""

    def fits(self, root: Path) -> int:
        """Return how many files match a rule; 0 if none of them is an image."""
        matches = [self._match(path, root) for path in list_files(root, self.suffixes)]
        rules = [match[0] for match in matches if match]
        return len(rules) if any(rule.role == "image" for rule in rules) else 0

    def entries(self, root: Path) -> Listing:
        """Collect the files of every case, and describe what is missing or left over.

        Raises:
            DataError: If no file fits.
        """
        matches = [(path, self._match(path, root)) for path in list_files(root, self.suffixes)]
        files = [(path, *match) for path, match in matches if match and match[0].role in ROLES]
        cases: dict[str, EntryFiles] = defaultdict(EntryFiles)
        problems = [
            line
            for path, rule, match in sorted(files, key=lambda file: file[1].spare)
            if (line := self._add_file(cases, path, rule, match))
        ]
        entries = [self._make_entry(name, case) for name, case in sorted(cases.items()) if case.images]
        if not entries:
            raise DataError(f"{root}: expected files named as in layout {self.name!r}, found none")
        strangers = [path for path, match in matches if not match]
        problems += self._describe_gaps(cases, root)
        problems += describe_faults(strangers, root, "files that fit no rule")
        problems += describe_faults(list_empty_folders(root), root, "empty folders")
        problems += describe_divided_subjects(entries, root)
        problems += describe_repeated_subjects(entries, root) if self.one_entry_each else []
        return Listing(self.name, entries, problems)

    def name_case(self, match: re.Match[str]) -> str:
        """Return the name that the files of one entry share; a subclass may build it from other groups."""
        return match["case"]

    def name_subject(self, match: re.Match[str]) -> str:
        """Return who was scanned."""
        return match.groupdict().get("subject") or match["case"]

    def _match(self, path: Path, root: Path) -> tuple[Rule, re.Match[str]] | None:
        # the root may itself be a folder that patterns name, such as Training or a case
        name = f"{root.resolve().name}/{path.relative_to(root).as_posix()}"
        return next(((rule, m) for rule in self.rules if (m := rule.match(name))), None)

    def _add_file(
        self, cases: dict[str, EntryFiles], path: Path, rule: Rule, match: re.Match[str]
    ) -> str | None:
        """Add a file to its case; return what is wrong with it, if anything."""
        name, groups = self.name_case(match), match.groupdict()
        case = cases[name]
        sequence = (groups.get("sequence") or rule.sequence).lower()
        files = case.images if rule.role == "image" else case.masks
        key = self.sequences.get(sequence, sequence) if rule.role == "image" else rule.role
        if key in files:
            fault = (
                f"{path}: expected one {key} of {name}, found a second beside {files[key]}; it is left out"
            )
            return None if rule.spare else fault
        case.subject = self.name_subject(match)
        case.split = groups.get("split") or rule.split or case.split
        case.group = groups.get("group") or case.group
        case.label = rule.label if rule.label is not None else case.label
        files[key] = path
        return None

    def _make_entry(self, name: str, case: EntryFiles) -> Entry:
        masks = {"lesion": case.masks.get("lesion"), "brain": case.masks.get("brain")}
        values = {"positive": self.positive, "ignored": self.ignored}
        return Entry(
            name, case.subject, case.images, split=_find_split(case), label=case.label, group=case.group,
            **masks, **values,  # type: ignore[arg-type]
        )  # fmt: skip

    def _describe_gaps(self, cases: Mapping[str, EntryFiles], root: Path) -> list[str]:
        needy = [case for case in cases.values() if case.images and self._needs_lesion(case)]
        # a folder that was published without masks gives one line, not one for each case
        no_masks = len(needy) > 1 and not any("lesion" in case.masks for case in needy)
        problems = [f"{root}: expected lesion masks, found none for {len(needy)} cases"] if no_masks else []
        usual: dict[tuple[str, str | None], set[str]] = defaultdict(lambda: set(self.required_sequences))
        for case in cases.values() if self.same_sequences else ():
            usual[case.group, case.split] |= set(case.images)
        for name, case in sorted(cases.items()):
            problems += self._find_gaps(name, case, sorted(usual[case.group, case.split]), no_masks)
        return problems

    def _needs_lesion(self, case: EntryFiles) -> bool:
        return case.label != 0 and bool({"*", _find_split(case)} & set(self.lesion_splits))

    def _find_gaps(self, name: str, case: EntryFiles, sequences: list[str], no_masks: bool) -> Iterator[str]:
        if not case.images:
            yield f"{next(iter(case.masks.values()))}: expected an image of {name} for this mask, found none"
            return
        path = next(iter(case.images.values()))
        if gaps := [s for s in sequences if s not in case.images]:
            yield f"{path.parent}: expected {', '.join(gaps)} of {name}, found {', '.join(case.images)}"
        if "lesion" not in case.masks and self._needs_lesion(case) and not no_masks:
            yield f"{path}: expected a lesion mask of {name}, found none"
        if self.brain_masks and "brain" not in case.masks:
            yield f"{path}: expected a brain mask of {name}, found none"


def _find_split(case: EntryFiles) -> str | None:
    return case.split and SPLITS.get(case.split.lower(), case.split.lower())
