"""Which volumes a folder or a table holds, and in which split each one is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from diffad.data.assemble import FileRow, Rules, Scan, assemble_scans
from diffad.data.items import DataError, choose_split, require_disjoint, split_scans
from diffad.data.labels import LabelRule, read_rows
from diffad.data.names import infer_subject_below, is_mask

SUFFIXES = (".nii", ".nii.gz")
Splits = dict[str, list[Scan]]
UNLABELLED = LabelRule()


def list_splits(
    root: Path,
    rules: Rules,
    table: Path | None,
    shares: Mapping[str, float],
    seed: int,
    split: str,
    labels: LabelRule = UNLABELLED,
) -> Splits:
    """List the scans of all splits: as a table or folders say, else shared out by subject.

    Args:
        root: Folder of the volumes, or with one folder for each split.
        rules: How files become scans.
        table: CSV with the columns path[, subject][, mask][, split]; none lists the folder.
        shares: Share of the subjects by split, where splits are not given.
        seed: Which shuffle of the subjects.
        split: The split that must not be empty.
        labels: Where labels come from; lesion masks are no scans, and folders of labels no subjects.

    Raises:
        DataError: If there are no scans, files are missing, or given splits share a subject.
    """
    source = table or root
    if table is None and (folders := split_folders(root, shares, split)):
        splits = {name: list_folder(folder, rules, labels) for name, folder in folders.items()}
    else:
        scans = list_folder(root, rules, labels) if table is None else list_table(table, root, rules, labels)
        if not any(scan.split for scan in scans):
            splits = _shared_out(scans, shares, seed, source)
        else:
            names = dict.fromkeys(scan.split or "" for scan in scans)
            splits = {name: [scan for scan in scans if scan.split == name] for name in names}
    require_disjoint({name: [scan.subject for scan in part] for name, part in splits.items()}, source)
    choose_split(splits, split, source)
    return splits


def split_folders(root: Path, shares: Mapping[str, float], split: str) -> dict[str, Path]:
    """Return the folders below ``root`` that are named like splits."""
    return {name: root / name for name in dict.fromkeys((*shares, split)) if (root / name).is_dir()}


def _shared_out(scans: Sequence[Scan], shares: Mapping[str, float], seed: int, source: Path) -> Splits:
    try:
        return split_scans(scans, [scan.subject for scan in scans], shares, seed)
    except DataError as error:
        hint = "a subject is a sub- name, else the outermost folder, else the file; a table can name them"
        raise DataError(f"{source}: {error} ({hint})") from error


def list_folder(root: Path, rules: Rules, labels: LabelRule = UNLABELLED) -> list[Scan]:
    """List the scans below a folder, in the order of their paths.

    Raises:
        DataError: If there are none, or the files of a scan are not all there.
    """
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder of volumes, found none")
    paths = [p for p in sorted(root.glob(rules.pattern)) if p.name.endswith(SUFFIXES) and p.is_file()]
    # A name with a dot in front is a file that another program is still writing.
    paths = [p for p in paths if not p.name.startswith(".") and not labels.hides(p)]
    paths = [p for p in paths if not (rules.mask and is_mask(p, rules.mask))]
    if not paths:
        raise DataError(f"{root}: expected volumes {rules.pattern} (.nii or .nii.gz), found none")
    rows = [FileRow(path, infer_subject_below(path, labels.home(path, root))) for path in paths]
    return assemble_scans(rows, rules, root)


def list_table(table: Path, root: Path, rules: Rules, labels: LabelRule = UNLABELLED) -> list[Scan]:
    """List the scans of a CSV; its paths are relative to its own folder or to ``root``.

    Raises:
        DataError: If it cannot be read, has no column "path" or no rows, or names a file that is missing.
    """
    header, cells = read_rows(table, "volumes")
    if "path" not in header:
        raise DataError(f"{table}: expected the column 'path', got {', '.join(header) or 'an empty file'}")
    if not cells:
        raise DataError(f"{table}: expected volumes, found no rows")
    if "split" in header and (gaps := [n for n, values in cells if not values.get("split")]):
        raise DataError(f"{table}: expected a split in each row, found none in lines {gaps}")
    return assemble_scans(
        [_row(values, f"{table}, line {n}", (table.parent, root), labels) for n, values in cells],
        rules,
        table,
    )


def _row(values: Mapping[str, str], where: str, folders: Sequence[Path], labels: LabelRule) -> FileRow:
    path = _resolved(values.get("path", ""), folders, where)
    mask = _resolved(values["mask"], folders, where) if values.get("mask") else None
    named = values.get("subject")
    root = next((folder for folder in reversed(folders) if path.is_relative_to(folder)), path.parent)
    subject = named or infer_subject_below(path, labels.home(path, root))
    return FileRow(path, subject, bool(named), mask, values.get("split"))


def _resolved(text: str, folders: Sequence[Path], where: str) -> Path:
    candidates = list(dict.fromkeys(folder / text for folder in folders))
    for path in candidates:
        if text and path.is_file():
            return path
    raise DataError(f"{where}: expected a NIfTI file, found none at {' or '.join(map(str, candidates))}")
