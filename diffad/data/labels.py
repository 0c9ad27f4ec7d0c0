"""Which scans are healthy (0) and which are diseased (1), as folders, a table or lesion masks say."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diffad.data.items import DataError
from diffad.data.names import find_volume_mask, is_mask
from diffad.data.volume import Volume, require_same_grid

CLASSES = ("healthy", "diseased")
WORDS = dict.fromkeys(("0", "healthy", "normal"), 0)
WORDS |= dict.fromkeys(("1", "diseased", "lesion", "anomalous", "tumour", "tumor"), 1)
"""What the labels may be called, in lower case."""
KNOWN = "healthy, normal or 0, or diseased, lesion, anomalous, tumour or 1"
Labels = str | Mapping[str, str] | None
"""Labels as a data set takes them: "folder", "masks", {"masks": NAME}, the path of a table, or none."""


@dataclass(frozen=True)
class LabelRule:
    """Where the labels of a data set come from; at most one is given.

    Args:
        folders: Whether from the outermost folder of a scan below its split.
        masks: Name of the lesion mask beside a scan, as ``names.mask_beside`` takes it.
        table: CSV with the columns file (or subject) and label.
    """

    folders: bool = False
    masks: str | None = None
    table: Path | None = None

    @classmethod
    def of(cls, labels: Labels, root: Path, masks: str) -> LabelRule:
        """Understand the option ``labels``.

        Args:
            labels: As written by the user.
            root: Folder of the data set; the path of a table may be relative to it.
            masks: Name of lesion masks where the user gives none.

        Raises:
            DataError: If it says nothing of the kind.
        """
        if labels is None or labels == "folder":
            return cls(folders=labels is not None)
        if isinstance(labels, Mapping):
            if set(labels) != {"masks"}:
                raise DataError(f"expected labels {{masks: NAME}}, got {dict(labels)}")
            return cls(masks=labels["masks"])
        if labels == "masks":
            return cls(masks=masks)
        return cls(table=Path(labels) if Path(labels).is_file() else root / labels)

    def hides(self, path: Path) -> bool:
        """Tell whether a file is a lesion mask by its name, and no scan."""
        return self.masks is not None and is_mask(path, self.masks)

    def home(self, path: Path, root: Path) -> Path:
        """Return the folder whose folders are subjects: that of the label, where folders are labels."""
        above = reversed(path.parents) if self.folders else ()
        inside = (folder for folder in above if folder.is_relative_to(root) and folder != root)
        return next((folder for folder in inside if folder.name.lower() in WORDS), root)

    def lesion(self, files: Iterable[Path]) -> Path | None:
        """Find the lesion mask beside one of the files of a scan, where lesion masks are labels."""
        if self.masks is None:
            return None
        return next((mask for path in files if (mask := find_volume_mask(path, self.masks))), None)


def read_labels(
    rule: LabelRule, files: Sequence[Sequence[Path]], subjects: Sequence[str], root: Path, split: str
) -> list[int | None]:
    """Return the label of each scan; none for all where there are no labels, or lesion masks tell.

    Args:
        rule: Where they come from.
        files: The files of each scan.
        subjects: Who was scanned, for each scan.
        root: Folder of the data set.
        split: Name of the split, which its folder below ``root`` may have.

    Raises:
        DataError: If some scans have no label or no lesion mask, a folder, word or column is not known, or
            a table contradicts itself.
    """
    if rule.table is not None:
        known = _read_table(rule.table)
        keys = [
            _keys(paths, who, (root, rule.table.parent)) for paths, who in zip(files, subjects, strict=True)
        ]
        found = [next((known[key] for key in names if key in known), None) for names in keys]
    elif rule.folders:
        found = _of_folders([_folder(paths[0], root, split) for paths in files], root)
    else:
        found = [None if rule.masks and rule.lesion(paths) is None else 0 for paths in files]
    _require_all(found, files, rule)
    return found if rule.table or rule.folders else [None] * len(files)


def lesion_mask(path: Path, like: Volume) -> Tensor:
    """Read a lesion mask on the grid of a scan, (1, I, J, K), boolean; it may be empty.

    Raises:
        VolumeError: If the file is unusable or on another grid.
    """
    volume = Volume.load(os.fspath(path), allow_constant=True)
    require_same_grid(volume, like)
    return torch.from_numpy(volume.data > 0).any(0, keepdim=True)


def require_both(labels: Sequence[int | None], source: Path | str) -> None:
    """Check that a classifier has both classes to learn from.

    Args:
        labels: Labels of the training items.
        source: What errors name.

    Raises:
        DataError: If an item has no label, or all have the same.
    """
    if missing := sum(label is None for label in labels):
        raise DataError(
            f"{source}: expected a label for each scan, found none for {missing} of {len(labels)}"
        )
    if len(present := set(labels)) < 2:
        found = "".join(f"only {CLASSES[label]} ({len(labels)})" for label in present if label is not None)
        raise DataError(f"{source}: expected healthy and diseased scans, found {found or 'none'}")


def read_rows(table: Path, what: str) -> tuple[Sequence[str], list[tuple[int, dict[str, str]]]]:
    """Return the column names of a CSV, and its rows with their lines; empty cells are left out.

    Args:
        table: The file.
        what: What it lists, for errors.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            header = reader.fieldnames or []
            rows = [(reader.line_num, {k: v.strip() for k, v in row.items() if v and k}) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{table}: expected a CSV of {what}, got one that cannot be read ({error})"
        ) from error
    return header, rows


def _read_table(table: Path) -> dict[str, int]:
    header, rows = read_rows(table, "labels")
    names = [name for name in ("file", "path", "subject") if name in header]
    if not names or "label" not in header:
        found = ", ".join(header) or "an empty file"
        raise DataError(f"{table}: expected the columns file (or subject) and label, got {found}")
    known: dict[str, int] = {}
    for line, row in rows:
        key, where = Path(row.get(names[0], "")).as_posix(), f"{table}, line {line}"
        label = _label(row.get("label", ""), where)
        if known.setdefault(key, label) != label:
            raise DataError(f"{where}: expected one label for {key!r}, got healthy and diseased")
    return known


def _label(word: str, where: str) -> int:
    if word.lower() not in WORDS:
        raise DataError(f"{where}: expected the label {KNOWN}, got {word!r}")
    return WORDS[word.lower()]


def _keys(files: Sequence[Path], subject: str, folders: Sequence[Path]) -> list[str]:
    """Return what a table may call a scan, the most exact first."""
    below = [p.relative_to(f).as_posix() for p in files for f in folders if p.is_relative_to(f)]
    return [*map(str, files), *below, *(path.name for path in files), subject]


def _folder(path: Path, root: Path, split: str) -> str | None:
    parts = path.relative_to(root).parts[:-1] if path.is_relative_to(root) else path.parts[-2:-1]
    below = parts[1:] if parts[:1] == (split,) else parts
    return below[0] if below else None


def _of_folders(names: Sequence[str | None], root: Path) -> list[int | None]:
    if unknown := sorted({name for name in names if name is not None and name.lower() not in WORDS}):
        raise DataError(f"{root}: expected folders called {KNOWN}, found {', '.join(unknown)}")
    return [None if name is None else WORDS[name.lower()] for name in names]


def _require_all(found: Sequence[int | None], files: Sequence[Sequence[Path]], rule: LabelRule) -> None:
    missing = [str(paths[0]) for label, paths in zip(found, files, strict=True) if label is None]
    if missing:
        where = rule.table or (f"lesion masks {rule.masks} beside them" if rule.masks else "their folders")
        some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        lacking = f"found none for {len(missing)} of {len(found)}: {some}"
        raise DataError(f"expected labels for all scans in {where}, {lacking}")
