"""Where scans were made: by the folders they lie in, or by a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from diffad.config.choices import HoldOut, require
from diffad.data.labels import read_rows
from diffad.io.nifti import stem
from diffad.io.subjects import Subject

COLUMNS = ("path", "file", "scan", "subject")
"""Columns of a table that name a scan, by its file or by its name in results."""


def read_sites(how: str, subjects: Sequence[Subject], sources: Sequence[Path]) -> dict[str, str]:
    """Return the site of each subject, by its name; nothing where nobody says.

    Args:
        how: "folder", the path of a CSV with the column site and one of path, file, scan and subject, or
            empty for no sites.
        subjects: The subjects.
        sources: Folders and files they were searched in. With "folder", scans of several such folders are of
            the site that their folder is called; those of a single one are of its folders.

    Raises:
        ValueError: If a subject has no site, or the table lacks a column; the file is named.
    """
    if not how:
        return {}
    if how == "folder":
        return {subject.name: _find_folder(subject.paths[0], sources) for subject in subjects}
    table = Path(how)
    sites = _read_table(table)
    return {subject.name: _find_row(subject, sites, table) for subject in subjects}


def require_sites(held_out: HoldOut, sites: Iterable[str], normalise: str) -> None:
    """Refuse to leave out sites where maps are in no units of healthy scans, or of one site at most.

    Raises:
        ValueError: If that is asked for.
    """
    if held_out == "scan":
        return
    require(
        normalise == "place", "held_out", "maps by place (--normalise place) to leave out sites", normalise
    )
    names = sorted(set(sites))
    require(len(names) > 1, "held_out", "scans of several sites (--site)", ", ".join(names) or "none")


def _find_folder(path: Path, sources: Sequence[Path]) -> str:
    folders = [source for source in sources if source.is_dir()]
    owner = next((folder for folder in folders if path.is_relative_to(folder)), None)
    if len(folders) > 1 and owner is not None:
        return owner.resolve().name
    parts = path.relative_to(owner).parts[:-1] if owner is not None else ()
    if not parts:
        raise ValueError(f"{path}: expected a folder of its site above the scan, found none below the source")
    return parts[0]


def _read_table(table: Path) -> dict[str, str]:
    header, rows = read_rows(table, "sites")
    columns = [name for name in COLUMNS if name in header]
    if not columns or "site" not in header:
        expectation = f"the column site and one of {', '.join(COLUMNS)}"
        raise ValueError(f"{table}: expected {expectation}, found {', '.join(header) or 'an empty file'}")
    return {row[columns[0]]: row["site"] for _, row in rows if columns[0] in row and "site" in row}


def _find_row(subject: Subject, sites: Mapping[str, str], table: Path) -> str:
    path = subject.paths[0]
    names = [str(path), path.name, stem(path), subject.name]
    paths = {str((table.parent / key).resolve()): site for key, site in sites.items()}
    rows = [sites[name] for name in names if name in sites] + [
        site for key, site in paths.items() if key == str(path.resolve())
    ]
    if not rows:
        raise ValueError(f"{table}: expected the site of {path}, found no such row")
    return rows[0]
