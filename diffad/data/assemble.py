"""Files that belong together: the sequences of a scan, its mask and its subject."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from diffad.data.items import DataError
from diffad.data.names import find_volume_mask, parse_visit, strip_sequence
from diffad.io.nifti import stem


@dataclass(frozen=True)
class Scan:
    """One scan of a data set, not yet read.

    Args:
        files: Its file, or one for each sequence, in order.
        subject: Who was scanned.
        mask: Brain mask, or none.
        split: Split it was put in, or none.
    """

    files: tuple[Path, ...]
    subject: str
    mask: Path | None = None
    split: str | None = None


@dataclass(frozen=True)
class Rules:
    """How files become scans.

    Args:
        pattern: Glob of the volumes below a folder.
        sequences: Sequences of a scan, as ``names.rest_of`` takes them; none makes each file a scan.
        mask: Name of the mask beside a scan, as ``names.mask_beside`` takes it; none for no masks.
    """

    pattern: str = "**/*.nii*"
    sequences: tuple[str, ...] | None = None
    mask: str | None = None


@dataclass(frozen=True)
class FileRow:
    """One file of a data set.

    Args:
        path: The volume.
        subject: Who was scanned, where anything but the file's own name says so.
        named: Whether a table says so; its files may then lie in several folders.
        mask: Brain mask, where a table names it.
        split: Split, where a table names it.
    """

    path: Path
    subject: str | None = None
    named: bool = False
    mask: Path | None = None
    split: str | None = None


class _Key(NamedTuple):
    """What the files of one scan have in common."""

    place: Path | None
    subject: str
    visit: tuple[str, ...]


def assemble_scans(rows: Sequence[FileRow], rules: Rules, source: Path) -> list[Scan]:
    """Put the files of each scan together and find their masks.

    Args:
        rows: The files.
        rules: Sequences and masks.
        source: What errors name.

    Raises:
        DataError: If a sequence or mask is missing, or a scan has a sequence twice.
    """
    groups: dict[_Key, dict[str, FileRow]] = {}
    for row in rows:
        for sequence, key in _keys(row, rules.sequences):
            group = groups.setdefault(key, {})
            if sequence in group:
                both = f"{group[sequence].path} and {row.path}"
                raise DataError(f"{source}: expected one file for {sequence!r} of {key.subject}, got {both}")
            group[sequence] = row
    if not groups:
        raise DataError(f"{source}: expected files of the sequences {rules.sequences}, found none")
    return [_scan(group, key.subject, rules) for key, group in groups.items()]


def _keys(row: FileRow, sequences: Sequence[str] | None) -> Iterator[tuple[str, _Key]]:
    if sequences is None:
        yield "scan", _Key(row.path, row.subject or stem(row.path), ())
        return
    place = None if row.named else row.path.parent
    for sequence in sequences:
        rest = strip_sequence(row.path, sequence)
        if rest is not None:
            yield sequence, _Key(place, row.subject or rest or stem(row.path), parse_visit(row.path))


def _scan(group: Mapping[str, FileRow], subject: str, rules: Rules) -> Scan:
    rows = [group[name] for name in rules.sequences or group if name in group]
    if missing := [name for name in rules.sequences or () if name not in group]:
        raise DataError(
            f"{rows[0].path}: expected a file for each of {rules.sequences}, found none for {missing}"
        )
    if len(splits := {row.split for row in rows}) > 1:
        raise DataError(
            f"{rows[0].path}: expected its sequences in one split, got {sorted(map(str, splits))}"
        )
    files = tuple(row.path for row in rows)
    return Scan(files, subject, _mask(rows, rules.mask), rows[0].split)


def _mask(rows: Sequence[FileRow], pattern: str | None) -> Path | None:
    if named := [row.mask for row in rows if row.mask]:
        return named[0]
    if pattern is None:
        return None
    if found := [mask for row in rows if (mask := find_volume_mask(row.path, pattern))]:
        return found[0]
    raise DataError(f"{rows[0].path}: expected a brain mask {pattern} beside it, found none")
