"""The files of one scan: its sequences, its brain mask, and whom it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from diffad.data.items import DataError
from diffad.data.names import find_volume_mask, parse_visit, strip_sequence
from diffad.io.nifti import stem


@dataclass(frozen=True)
class ScanFiles:
    """The files of one scan of a data set.

    Args:
        files: The file, or one for each sequence, in order.
        subject: Who was scanned.
        mask: Brain mask, or none.
        split: Split of the scan, or none.
        site: Where it was made, or empty.
    """

    files: tuple[Path, ...]
    subject: str
    mask: Path | None = None
    split: str | None = None
    site: str = ""


@dataclass(frozen=True)
class ScanRules:
    """How files become scans.

    Args:
        pattern: Glob of the volumes below a folder; the default takes volumes of every suffix.
        sequences: Sequences of a scan, as ``names.strip_sequence`` takes them; none makes each file a scan.
        mask: Name of the mask beside a scan, as ``names.find_volume_mask`` takes it; none for no masks.
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
        from_table: Whether a table says so; the files of a scan may then lie in several folders.
        mask: Brain mask, where a table names it.
        split: Split, where a table names it.
        site: Where it was made, where a table names it.
    """

    path: Path
    subject: str | None = None
    from_table: bool = False
    mask: Path | None = None
    split: str | None = None
    site: str = ""


class _Key(NamedTuple):
    """What the files of one scan have in common."""

    folder: Path | None
    subject: str
    visit: tuple[str, ...]


def assemble_scans(rows: Sequence[FileRow], rules: ScanRules, source: Path) -> list[ScanFiles]:
    """Group the files of each scan and find the masks.

    Args:
        rows: The files.
        rules: Sequences and masks.
        source: What messages name.

    Raises:
        DataError: If a sequence or mask is missing, or a scan has a sequence twice.
    """
    groups: dict[_Key, dict[str, FileRow]] = {}
    for row in rows:
        for sequence, key in _find_keys(row, rules.sequences):
            group = groups.setdefault(key, {})
            if sequence in group:
                raise DataError(
                    f"{source}: expected one file for {sequence!r} of {key.subject}, found two: "
                    f"{group[sequence].path} and {row.path}"
                )
            group[sequence] = row
    if not groups:
        raise DataError(f"{source}: expected files of the sequences {_join(rules.sequences)}, found none")
    return [_make_scan(group, key.subject, rules) for key, group in groups.items()]


def _find_keys(row: FileRow, sequences: Sequence[str] | None) -> Iterator[tuple[str, _Key]]:
    if sequences is None:
        yield "scan", _Key(row.path, row.subject or stem(row.path), ())
        return
    folder = None if row.from_table else row.path.parent
    for sequence in sequences:
        rest = strip_sequence(row.path, sequence)
        if rest is not None:
            yield sequence, _Key(folder, row.subject or rest or stem(row.path), parse_visit(row.path))


def _make_scan(group: Mapping[str, FileRow], subject: str, rules: ScanRules) -> ScanFiles:
    rows = [group[name] for name in rules.sequences or group if name in group]
    if missing_sequences := [name for name in rules.sequences or () if name not in group]:
        raise DataError(
            f"{rows[0].path}: expected a file for each of {_join(rules.sequences)}, "
            f"found none for {_join(missing_sequences)}"
        )
    if len(splits := {row.split for row in rows}) > 1:
        raise DataError(
            f"{rows[0].path}: expected all sequences of the scan in one split, "
            f"found them in {_join(sorted(map(str, splits)))}"
        )
    files = tuple(row.path for row in rows)
    return ScanFiles(files, subject, _find_mask(rows, rules.mask), rows[0].split, rows[0].site)


def _find_mask(rows: Sequence[FileRow], pattern: str | None) -> Path | None:
    if listed_masks := [row.mask for row in rows if row.mask]:
        return listed_masks[0]
    if pattern is None:
        return None
    if masks := [mask for row in rows if (mask := find_volume_mask(row.path, pattern))]:
        return masks[0]
    raise DataError(f"{rows[0].path}: expected a brain mask {pattern} beside the scan, found none")


def _join(words: Sequence[str] | None) -> str:
    return ", ".join(words or ())
