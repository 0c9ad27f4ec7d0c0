"""Which scans a folder or a table lists, and in which split each one is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from diffad.data.items import DataError
from diffad.data.labels import LabelRule, read_rows
from diffad.data.names import infer_subject_below, is_mask
from diffad.data.scan_files import FileRow, ScanFiles, ScanRules, assemble_scans
from diffad.data.scan_search import holds_images, search_volumes
from diffad.data.splits import choose_split, require_disjoint, split_scans
from diffad.io.nifti import SUFFIXES
from diffad.io.paths import is_present_file

Splits = dict[str, list[ScanFiles]]
NO_LABELS = LabelRule()


def list_splits(
    root: Path,
    rules: ScanRules,
    table: Path | None,
    shares: Mapping[str, float],
    seed: int,
    split: str,
    labels: LabelRule = NO_LABELS,
) -> Splits:
    """List the scans of all splits: as a table or folders say, else at random by subject.

    Args:
        root: Folder of the volumes, or with one folder for each split.
        rules: How files become scans.
        table: CSV with the columns path[, subject][, mask][, split][, site]; none lists the folder.
        shares: Fraction of the subjects by split, where neither a table nor folders say.
        seed: Seed of the shuffle of the subjects.
        split: The split that must not be empty.
        labels: Where labels come from; lesion masks are no scans, and folders of labels no subjects.

    Raises:
        DataError: If there are no scans, files are missing, or splits share a subject.
    """
    source = table or root
    if table is None and (folders := split_folders(root, shares, split)):
        splits = {name: list_folder(folder, rules, labels) for name, folder in folders.items()}
    else:
        scans = list_folder(root, rules, labels) if table is None else list_table(table, root, rules, labels)
        if not any(scan.split for scan in scans):
            splits = _split_by_subject(scans, shares, seed, source)
        else:
            names = dict.fromkeys(scan.split or "" for scan in scans)
            splits = {name: [scan for scan in scans if scan.split == name] for name in names}
    require_disjoint({name: [scan.subject for scan in scans] for name, scans in splits.items()}, source)
    choose_split(splits, split, source)
    return splits


def split_folders(root: Path, shares: Mapping[str, float], split: str) -> dict[str, Path]:
    """Return the folders below ``root`` with the name of a split."""
    return {name: root / name for name in dict.fromkeys((*shares, split)) if (root / name).is_dir()}


def _split_by_subject(
    scans: Sequence[ScanFiles], shares: Mapping[str, float], seed: int, source: Path
) -> Splits:
    try:
        return split_scans(scans, [scan.subject for scan in scans], shares, seed)
    except DataError as error:
        hint = (
            "a subject is the sub- part of a path, else the outermost folder, else the file; "
            "a table can name subjects, too"
        )
        raise DataError(f"{source}: {error}; {hint}") from error


def list_folder(root: Path, rules: ScanRules, labels: LabelRule = NO_LABELS) -> list[ScanFiles]:
    """List the scans below a folder, in the order of their paths.

    Raises:
        DataError: If there are none, or a file of a scan is missing.
    """
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder of volumes, found no such folder")

    def is_any_mask(path: Path) -> bool:
        return labels.is_lesion(path) or bool(rules.mask and is_mask(path, rules.mask))

    paths = search_volumes(root, rules.pattern, is_any_mask)
    if not paths:
        hint = "; this folder holds images: data.name=images data.mask=null" if holds_images(root) else ""
        raise DataError(f"{root}: expected volumes {rules.pattern} ({', '.join(SUFFIXES)}), found none{hint}")
    rows = [FileRow(path, infer_subject_below(path, labels.find_subject_root(path, root))) for path in paths]
    return assemble_scans(rows, rules, root)


def list_table(table: Path, root: Path, rules: ScanRules, labels: LabelRule = NO_LABELS) -> list[ScanFiles]:
    """List the scans of a CSV; its paths are relative to its folder or to ``root``.

    Raises:
        DataError: If it cannot be read, has no column "path" or no rows, or names a file that is missing.
    """
    header, rows = read_rows(table, "volumes")
    if "path" not in header:
        raise DataError(f"{table}: expected a column path, found {', '.join(header) or 'an empty file'}")
    if not rows:
        raise DataError(f"{table}: expected volumes, found no rows")
    if "split" in header and (gaps := [n for n, row in rows if not row.get("split")]):
        lines = f"line{'s' if len(gaps) > 1 else ''} {', '.join(map(str, gaps))}"
        raise DataError(f"{table}: expected a split in each row, found none in {lines}")
    return assemble_scans(
        [_make_row(row, f"{table}, line {n}", (table.parent, root), labels) for n, row in rows],
        rules,
        table,
    )


def _make_row(values: Mapping[str, str], where: str, folders: Sequence[Path], labels: LabelRule) -> FileRow:
    path = _find_file(values.get("path", ""), folders, where)
    mask = _find_file(values["mask"], folders, where) if values.get("mask") else None
    listed_subject = values.get("subject")
    root = next((folder for folder in reversed(folders) if path.is_relative_to(folder)), path.parent)
    subject = listed_subject or infer_subject_below(path, labels.find_subject_root(path, root))
    return FileRow(path, subject, bool(listed_subject), mask, values.get("split"), values.get("site", ""))


def _find_file(text: str, folders: Sequence[Path], where: str) -> Path:
    candidates = list(dict.fromkeys(folder / text for folder in folders))
    for path in candidates:
        if text and is_present_file(path):
            return path
    raise DataError(f"{where}: expected a NIfTI file, found none at {' or '.join(map(str, candidates))}")
