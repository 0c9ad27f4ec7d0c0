"""What a BIDS derivative says of itself: what made it, what it was made of, and what BIDS does not know."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from diffad.io.atomic import write_text
from diffad.io.claims import RUNNING, hold_claim
from diffad.io.paths import is_present_file, resolve_path
from diffad.io.text import read_json, read_text
from diffad.io.version import __version__
from diffad.predict.readme import format_readme

DESCRIPTION = "dataset_description.json"
BIDS_VERSION = "1.10.0"
IGNORED_PATTERNS = (
    "*.html",
    "*.png",
    "*.pdf",
    "*.svg",
    "results.csv",
    "group.tsv",
    "group.json",
    "*_xfm.tfm",
    "**/ct/",
)
"""What BIDS has no names for: pages and pictures, tables over all scans, transforms, and CT."""
READMES = ("README.md", "README", "README.txt", "README.rst")
PATIENCE_SECONDS = 60.0
"""How long to wait for another program that writes the description, which takes it a moment."""


def root_of(path: Path) -> Path | None:
    """Return the data set that a file or folder lies in, or none: the nearest with a description."""
    start = path.absolute()
    for folder in (start, *start.parents):
        if (folder / DESCRIPTION).is_file():
            return folder
    return None


def describe_dataset(out: Path, sources: Sequence[Path]) -> None:
    """Write what a derivative must say of itself; what is there stays, and what it lacks is added.

    These are ``dataset_description.json`` with the data sets it was made of, a ``README.md``, and a
    ``.bidsignore``. A description of raw data is left alone.

    Args:
        out: The derivative.
        sources: Data sets that it is made of.

    Raises:
        ValueError: If its description cannot be read.
        OSError: If a file cannot be written.
    """
    with hold_claim(out / RUNNING / f"{DESCRIPTION}.lock", PATIENCE_SECONDS, str(out / DESCRIPTION)):
        old_about = read_description(out) if (out / DESCRIPTION).exists() else {}
        if old_about and old_about.get("DatasetType") != "derivative":
            return
        about = _add_sources(_describe_new() | old_about, out, sources)
        if about != old_about:
            write_text(out / DESCRIPTION, json.dumps(about, indent=1) + "\n")
        _add_ignored(out / ".bidsignore")
        if not any((out / name).exists() for name in READMES):
            write_text(out / "README.md", format_readme())


def read_description(root: Path) -> dict[str, Any]:
    """Read what a data set says of itself.

    Raises:
        ValueError: If it is no mapping of JSON; the file is named.
    """
    path, expectation = root / DESCRIPTION, "the description of a BIDS data set, a JSON mapping"
    about = read_json(path, expectation)
    if not isinstance(about, dict):
        raise ValueError(f"{path}: expected {expectation}, found {type(about).__name__}")
    return about


def _describe_new() -> dict[str, Any]:
    return {
        "Name": "Anomaly maps of diffad",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "diffad", "Version": __version__, **_describe_container(os.environ)}],
    }


def _describe_container(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the container that this runs in, as its variables tell; nothing outside of one."""
    for kind in ("apptainer", "singularity"):
        if path := variables.get(f"{kind.upper()}_CONTAINER"):
            return {"Container": {"Type": kind, "Tag": Path(path).name}}
    kind, tag = (variables.get(f"DIFFAD_CONTAINER_{key}", "") for key in ("TYPE", "TAG"))
    return {"Container": {"Type": kind, "Tag": tag}} if kind and tag else {}


def _add_sources(about: dict[str, Any], out: Path, sources: Sequence[Path]) -> dict[str, Any]:
    links, origins = dict(about.get("DatasetLinks") or {}), list(about.get("SourceDatasets") or [])
    for source in sources:
        if _find_link(links, source, out) is None:
            links[_name_link(links)] = _format_place(source, out)
        origin = {"URL": resolve_path(source).as_uri(), **_read_doi(source)}
        origins += [] if origin in origins else [origin]
    return about | ({"SourceDatasets": origins, "DatasetLinks": links} if sources else {})


def _name_link(links: Mapping[str, str]) -> str:
    names = ("raw", *(f"raw{number}" for number in range(2, len(links) + 3)))
    return next(name for name in names if name not in links)


def _format_place(source: Path, out: Path) -> str:
    """Say where a data set lies: relative to a derivative that lies in it, so that both may move."""
    folder, target = resolve_path(out), resolve_path(source)
    return os.path.relpath(target, folder) if folder.is_relative_to(target) else target.as_uri()


def _read_doi(source: Path) -> dict[str, str]:
    try:
        doi = read_description(source).get("DatasetDOI")
    except (ValueError, OSError):
        return {}
    return {"DOI": doi} if isinstance(doi, str) and doi else {}


def _find_link(links: Mapping[str, Any], source: Path, out: Path) -> str | None:
    places = (_format_place(source, out), resolve_path(source).as_uri(), str(resolve_path(source)))
    return next((name for name, place in links.items() if place in places), None)


def format_uri(path: Path, out: Path) -> str:
    """Return the BIDS URI of a file, by the links of a derivative.

    Args:
        path: A file of a data set; one of none, or of one that is not linked, gets a file URI.
        out: The derivative.
    """
    root = root_of(path)
    links = read_description(out).get("DatasetLinks") if is_present_file(out / DESCRIPTION) else None
    name = _find_link(links, root, out) if root and isinstance(links, dict) else None
    if root is None or name is None:
        return resolve_path(path).as_uri()
    return f"bids:{name}:{quote(path.absolute().relative_to(root).as_posix())}"


def ignore_folder(out: Path, folder: Path) -> None:
    """Let validators pass over a folder, if it lies in a derivative.

    Args:
        out: The derivative, which is there.
        folder: Any folder.

    Raises:
        OSError: If the list of what is passed over cannot be written.
    """
    if resolve_path(folder).is_relative_to(resolve_path(out)):
        with hold_claim(out / RUNNING / f"{DESCRIPTION}.lock", PATIENCE_SECONDS, str(out / DESCRIPTION)):
            place = resolve_path(folder).relative_to(resolve_path(out)).as_posix()
            _add_ignored(out / ".bidsignore", (f"/{place}/",))


def _add_ignored(path: Path, patterns: Sequence[str] = IGNORED_PATTERNS) -> None:
    lines = read_text(path, "patterns of files").splitlines() if path.exists() else []
    if absent := [pattern for pattern in patterns if pattern not in lines]:
        write_text(path, "\n".join([*lines, *absent]) + "\n")
