"""A plain table, for data in none of the published layouts."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from diffad.data.items import DataError
from diffad.data.layouts.base import Entry, Layout, Listing
from diffad.data.layouts.rules import describe_divided_subjects
from diffad.io.files import FileError, open_regular
from diffad.io.paths import is_present_file
from diffad.io.text import read_text
from diffad.registry import LAYOUTS

HEADER_BYTES = 1_000_000
"""How much of a table is read to see its columns."""
PATHS = ("path", "image", "filename", "file")
LESIONS = ("lesion", "mask", "seg")
COLUMNS = (
    "path",
    "sequence",
    "subject",
    "lesion",
    "brain",
    "split",
    "label",
    "group",
    "name",
    "positive",
    "ignored",
)
"""Columns that ``write_table`` writes."""
NAMES = ("table.csv", "data.csv", "entries.csv")


@LAYOUTS.register("table")
class Table(Layout):
    """Table: a CSV with path (or image, filename); optional subject, lesion, brain, split, label, group."""

    def fits(self, root: Path) -> int:
        """Return 1 for a CSV that lists images, so that any other layout that fits goes first."""
        return int(bool(_find_table(root)))

    def entries(self, root: Path) -> Listing:
        """Read the table; paths are relative to its folder.

        Raises:
            DataError: If there is no such table, or none of its files exists.
        """
        path = _find_table(root)
        if path is None:
            raise DataError(f"{root}: expected a CSV with a column {' or '.join(PATHS)}, found none")
        entries, problems = [], []
        for line, row in enumerate(_read_rows(path), start=2):
            try:
                entry = _make_entry(row, path.parent)
            except ValueError as error:
                problems.append(f"{path}:{line}: {error}")
                continue
            missing_files = [
                p for p in (*entry.images.values(), entry.lesion, entry.brain) if p and not is_present_file(p)
            ]
            problems += [f"{path}:{line}: expected the file {p}, found none" for p in missing_files]
            if not set(missing_files) & set(entry.images.values()):
                entries.append(entry)
        if not entries:
            raise DataError(f"{path}: expected at least one file of the table, found none")
        repeats = [name for name, count in Counter(e.name for e in entries).items() if count > 1]
        problems += [f"{path}: expected each name once, found {name} several times" for name in repeats]
        return Listing(
            "table",
            sorted(entries, key=lambda e: e.name),
            problems + describe_divided_subjects(entries, path),
        )


def write_table(entries: Iterable[Entry], path: Path, relative: bool = False) -> None:
    """Write entries as a table of this layout, a row for each sequence.

    Args:
        entries: What is listed.
        path: Where the table is written.
        relative: Give paths from the folder of the table, in which all files lie, so that it can be moved.

    Raises:
        OSError: If it cannot be written.
    """

    def show(file: Path) -> str:
        return file.relative_to(path.parent).as_posix() if relative else str(file.resolve())

    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for e in entries:
            rest = {
                "lesion": show(e.lesion) if e.lesion else "",
                "brain": show(e.brain) if e.brain else "",
                "positive": " ".join(map(str, e.positive or ())),
                "ignored": " ".join(map(str, e.ignored)),
                "split": e.split or "",
                "group": e.group,
            }
            label = "" if e.label is None else e.label
            for sequence, image in sorted(e.images.items()):
                name = e.name if len(e.images) == 1 else f"{e.name}-{sequence}"
                row = {"path": show(image), "sequence": sequence, "subject": e.subject, "name": name}
                table.writerow({**row, "label": label, **rest})


def _find_table(root: Path) -> Path | None:
    candidates = [root] if root.is_file() else sorted(root.glob("*.csv"))
    return next((p for p in candidates if p.suffix == ".csv" and read_header(p) & set(PATHS)), None)


def read_header(path: Path) -> set[str]:
    """Return the column names of a CSV, in lower case; none of a file that cannot be read as one."""
    try:
        with open_regular(path, "a CSV") as file:
            text = file.read(HEADER_BYTES).decode("utf-8-sig", errors="replace")
        return {name.strip().lower() for name in next(csv.reader(io.StringIO(text, newline="")), [])}
    except (OSError, csv.Error):
        return set()


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path, "a CSV", "utf-8-sig"), newline="")))
    except (FileError, csv.Error) as error:
        raise DataError(f"{path}: expected a CSV, found {error}") from error
    return [
        {(k or "").strip().lower(): (v or "").strip() for k, v in row.items() if isinstance(v, str | None)}
        for row in rows
    ]


def _make_entry(row: Mapping[str, str], folder: Path) -> Entry:
    image = next((row[key] for key in PATHS if row.get(key)), "")
    if not image:
        raise ValueError("expected the path of an image, found none")
    lesion = next((row[key] for key in LESIONS if row.get(key)), "")
    name = row.get("name") or Path(image).name.removesuffix(".gz").rsplit(".", 1)[0]
    label = row.get("label", "")
    if label not in ("", "0", "1"):
        raise ValueError(f"expected a label 0 or 1, found {label!r}")
    return Entry(
        name=name,
        subject=row.get("subject") or name,
        images={row.get("sequence") or "image": folder / image},
        lesion=folder / lesion if lesion else None,
        brain=folder / row["brain"] if row.get("brain") else None,
        split=row.get("split") or None,
        label=int(label) if label else None,
        group=row.get("group", ""),
        positive=tuple(map(int, row.get("positive", "").split())) or None,
        ignored=tuple(map(int, row.get("ignored", "").split())),
    )
