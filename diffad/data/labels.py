"""Which scans are healthy (0) and which are diseased (1), by folders, a table or lesion masks."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diffad.data.items import DataError
from diffad.data.names import find_volume_mask, is_mask
from diffad.data.volume import Volume, require_same_grid
from diffad.io.files import FileError
from diffad.io.paths import is_present_file
from diffad.io.text import read_text

CLASSES = ("healthy", "diseased")
LABEL_WORDS = dict.fromkeys(("0", "healthy", "normal"), 0)
LABEL_WORDS |= dict.fromkeys(("1", "diseased", "lesion", "anomalous", "tumour", "tumor"), 1)
"""What the labels may be called, in lower case."""
LABEL_TEXT = "healthy, normal or 0; or diseased, lesion, anomalous, tumour or 1"
"""The same words in a message."""
Labels = str | Mapping[str, str] | None
"""Labels as the option of a data set: "folder", "masks", {"masks": NAME}, the path of a table, or none."""


@dataclass(frozen=True)
class LabelRule:
    """Where the labels of a data set come from: folders, masks, a table, or nowhere.

    Args:
        folders: Whether they are the names of the outermost folders below the split.
        masks: Name of the lesion mask beside a scan, as ``names.find_volume_mask`` takes it.
        table: CSV with the columns file (or subject) and label.
    """

    folders: bool = False
    masks: str | None = None
    table: Path | None = None

    @classmethod
    def parse(cls, labels: Labels, root: Path, masks: str) -> LabelRule:
        """Parse the option ``labels``.

        Args:
            labels: Value of the option.
            root: Folder of the data set; the path of a table may be relative to it.
            masks: Name of the lesion masks for the value "masks".

        Raises:
            DataError: If a mapping has other keys than "masks".
        """
        if labels is None or labels == "folder":
            return cls(folders=labels is not None)
        if isinstance(labels, Mapping):
            if set(labels) != {"masks"}:
                raise DataError(f"expected labels {{masks: NAME}}, got {dict(labels)}")
            return cls(masks=labels["masks"])
        if labels == "masks":
            return cls(masks=masks)
        return cls(table=Path(labels) if is_present_file(Path(labels)) else root / labels)

    def is_lesion(self, path: Path) -> bool:
        """Tell whether a file is a lesion mask by its name, and no scan."""
        return self.masks is not None and is_mask(path, self.masks)

    def find_subject_root(self, path: Path, root: Path) -> Path:
        """Return the folder whose folders are subjects: that of the label, where folders are labels."""
        parents = reversed(path.parents) if self.folders else ()
        folders = (folder for folder in parents if folder.is_relative_to(root) and folder != root)
        return next((folder for folder in folders if folder.name.lower() in LABEL_WORDS), root)

    def find_lesion(self, files: Iterable[Path]) -> Path | None:
        """Find the lesion mask beside one of the files of a scan, where lesion masks are labels."""
        if self.masks is None:
            return None
        return next((mask for path in files if (mask := find_volume_mask(path, self.masks))), None)


def read_labels(
    rule: LabelRule, files: Sequence[Sequence[Path]], subjects: Sequence[str], root: Path, split: str
) -> list[int | None]:
    """Return the label of each scan; none for each where there are no labels, or where lesion masks decide.

    Args:
        rule: Where they come from.
        files: The files of each scan.
        subjects: Who was scanned, for each scan.
        root: Folder of the data set.
        split: Name of the split, and of its folder below ``root`` if there is one.

    Raises:
        DataError: If some scans have no label or no lesion mask, a folder, word or column is unknown, or a
            table contradicts itself.
    """
    if rule.table is not None:
        table_labels = _read_table(rule.table)
        keys = [
            _list_keys(paths, who, (root, rule.table.parent))
            for paths, who in zip(files, subjects, strict=True)
        ]
        labels = [next((table_labels[key] for key in names if key in table_labels), None) for names in keys]
    elif rule.folders:
        labels = _parse_folders([_find_label_folder(paths[0], root, split) for paths in files], root)
    else:
        labels = [None if rule.masks and rule.find_lesion(paths) is None else 0 for paths in files]
    _require_labels(labels, files, rule)
    return labels if rule.table or rule.folders else [None] * len(files)


def load_lesion_mask(path: Path, like: Volume) -> Tensor:
    """Read a lesion mask on the grid of a scan, (1, I, J, K), boolean; it may be empty.

    Raises:
        VolumeError: If the file is unusable or on another grid.
    """
    volume = Volume.load(os.fspath(path), allow_constant=True, options=like.options)
    require_same_grid(volume, like)
    return torch.from_numpy(volume.data > 0).any(0, keepdim=True)


def require_both(labels: Sequence[int | None], source: Path | str) -> None:
    """Check that a classifier has both classes to learn from.

    Args:
        labels: Labels of the training items.
        source: What messages name.

    Raises:
        DataError: If an item has no label, or all have the same one.
    """
    if gaps := sum(label is None for label in labels):
        raise DataError(f"{source}: expected a label for each scan, found none for {gaps} of {len(labels)}")
    if len(classes := set(labels)) < 2:
        text = "".join(f"only {CLASSES[label]} ({len(labels)})" for label in classes if label is not None)
        raise DataError(f"{source}: expected healthy and diseased scans, found {text or 'none'}")


def read_rows(table: Path, what: str) -> tuple[Sequence[str], list[tuple[int, dict[str, str]]]]:
    """Return the column names of a CSV, and its rows with the numbers of their lines; without empty cells.

    Args:
        table: The file.
        what: What it lists, for messages.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        text = io.StringIO(read_text(table, "a CSV", "utf-8-sig"), newline="")
        reader = csv.DictReader(text, skipinitialspace=True)
        header = reader.fieldnames or []
        rows = [(reader.line_num, {k: v.strip() for k, v in row.items() if v and k}) for row in reader]
    except (FileError, csv.Error) as error:
        raise DataError(
            f"{table}: expected a CSV of {what}, found a file that cannot be read ({error})"
        ) from error
    return header, rows


def _read_table(table: Path) -> dict[str, int]:
    header, rows = read_rows(table, "labels")
    names = [name for name in ("file", "path", "subject") if name in header]
    if not names or "label" not in header:
        columns = ", ".join(header) or "an empty file"
        raise DataError(f"{table}: expected the columns file (or subject) and label, found {columns}")
    labels: dict[str, int] = {}
    for line, row in rows:
        key, where = Path(row.get(names[0], "")).as_posix(), f"{table}, line {line}"
        label = _parse_label(row.get("label", ""), where)
        if labels.setdefault(key, label) != label:
            raise DataError(f"{where}: expected one label for {key!r}, found healthy and diseased")
    return labels


def _parse_label(word: str, where: str) -> int:
    if word.lower() not in LABEL_WORDS:
        raise DataError(f"{where}: expected a label ({LABEL_TEXT}), found {word!r}")
    return LABEL_WORDS[word.lower()]


def _list_keys(files: Sequence[Path], subject: str, folders: Sequence[Path]) -> list[str]:
    """Return what a table may call a scan, the most exact first."""
    relative_paths = [p.relative_to(f).as_posix() for p in files for f in folders if p.is_relative_to(f)]
    return [*map(str, files), *relative_paths, *(path.name for path in files), subject]


def _find_label_folder(path: Path, root: Path, split: str) -> str | None:
    folders = path.relative_to(root).parts[:-1] if path.is_relative_to(root) else path.parts[-2:-1]
    folders = folders[1:] if folders[:1] == (split,) else folders
    return folders[0] if folders else None


def _parse_folders(names: Sequence[str | None], root: Path) -> list[int | None]:
    if unknown_names := sorted(
        {name for name in names if name is not None and name.lower() not in LABEL_WORDS}
    ):
        raise DataError(
            f"{root}: expected folders with the name of a label ({LABEL_TEXT}), "
            f"found {', '.join(unknown_names)}"
        )
    return [None if name is None else LABEL_WORDS[name.lower()] for name in names]


def _require_labels(labels: Sequence[int | None], files: Sequence[Sequence[Path]], rule: LabelRule) -> None:
    gaps = [str(paths[0]) for label, paths in zip(labels, files, strict=True) if label is None]
    if gaps:
        place = rule.table or (f"lesion masks {rule.masks} beside them" if rule.masks else "their folders")
        names = ", ".join(gaps[:3]) + (", ..." if len(gaps) > 3 else "")
        raise DataError(
            f"expected labels for all scans in {place}, found none for {len(gaps)} of {len(labels)}: {names}"
        )
