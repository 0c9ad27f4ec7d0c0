"""Filters of scans by their BIDS entities, as other BIDS Apps take them in a JSON file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffad.io.entities import INDICES, BidsName
from diffad.io.text import read_json
from diffad.registry import suggest_name

ENTITIES = {
    "subject": "sub",
    "session": "ses",
    "sample": "sample",
    "task": "task",
    "acquisition": "acq",
    "ceagent": "ce",
    "reconstruction": "rec",
    "direction": "dir",
    "run": "run",
    "modality": "mod",
    "echo": "echo",
    "flip": "flip",
    "inversion": "inv",
    "mt": "mt",
    "part": "part",
    "chunk": "chunk",
    "space": "space",
    "resolution": "res",
    "desc": "desc",
    "description": "desc",
}
"""Entities by the names that filters use, and by which file names do."""
OTHER_KEYS = ("suffix", "extension", "datatype")
QUERIES = {"t1w": "T1w", "t2w": "T2w", "flair": "FLAIR", "ct": "ct"}
"""Queries that are known here, and the suffix of their scans."""
FOREIGN_QUERIES = ("bold", "sbref", "fmap", "dwi", "roi", "asl", "perf", "meg", "pet", "anat", "func")
"""Queries of other programs, which share their file with this one."""
ABSENT, PRESENT, ANY = ("Query.NONE",), ("*", "Query.ANY", "Query.REQUIRED"), ("Query.OPTIONAL",)
"""Words for a value that must not be there, that must be there, and that may be."""


@dataclass(frozen=True)
class Query:
    """Which scans of one kind are looked at.

    Args:
        name: Name of the query, as ``t1w``.
        suffix: Suffix of its scans.
        conditions: What is asked of entities, by the name that filters use.
    """

    name: str
    suffix: str
    conditions: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, name: BidsName, folder: str, extension: str) -> bool:
        """Tell whether a scan is meant.

        Args:
            name: Its name.
            folder: Folder it lies in, as ``anat``.
            extension: End of its name, as ``.nii.gz``.
        """
        values = {key: name.entities.get(short) for key, short in ENTITIES.items()}
        values |= {"suffix": name.suffix, "datatype": folder, "extension": extension}
        suffix = {} if "suffix" in self.conditions else {"suffix": self.suffix}
        conditions = {**suffix, **self.conditions}
        return all(_fits(key, values[key], condition) for key, condition in conditions.items())

    def __str__(self) -> str:
        words = [f"{key} {_format_condition(value)}" for key, value in self.conditions.items()]
        return f"{self.name} with {', '.join(words)}" if words else self.name


def list_queries(modality: str, sequences: Sequence[str]) -> list[Query]:
    """List what is looked at without a filter file: T1w, T2w and FLAIR, or ct, or what was named.

    Args:
        modality: "mri" or "ct".
        sequences: Suffixes that the user named; none for the usual.
    """
    names = {suffix: name for name, suffix in QUERIES.items()}
    usual = ("ct",) if modality == "ct" else ("T1w", "T2w", "FLAIR")
    return [Query(names.get(suffix, suffix), suffix) for suffix in sequences or usual]


def read_filters(path: Path, queries: Sequence[Query]) -> tuple[list[Query], list[str]]:
    """Read a filter file and lay it over the queries.

    Args:
        path: A JSON file as ``{"t1w": {"session": "01", "acquisition": null}}``.
        queries: What is looked at without it.

    Returns:
        The queries with their conditions, and the names of queries that mean nothing here.

    Raises:
        ValueError: If it is no such file; it is named, with what was found.
    """
    expectation = 'a mapping of queries, as {"t1w": {"session": "01"}}'
    filters = read_json(path, expectation)
    if not isinstance(filters, dict) or not all(isinstance(value, dict) for value in filters.values()):
        raise ValueError(f"{path}: expected {expectation}, found other JSON")
    for name, conditions in filters.items():
        _check_query(path, name, conditions)
    query_names = {query.name for query in queries}
    chosen_queries = [Query(query.name, query.suffix, filters.get(query.name, {})) for query in queries]
    return chosen_queries, [name for name in filters if name not in query_names]


def _check_query(path: Path, name: str, conditions: Mapping[str, Any]) -> None:
    """Refuse a query or an entity that nobody knows, and a value that is none."""
    if name not in (*QUERIES, *FOREIGN_QUERIES):
        names = ", ".join(QUERIES)
        raise ValueError(f"{path}: expected the queries {names}, found {name!r}{suggest_name(name, QUERIES)}")
    if name not in QUERIES:
        return
    keys = (*ENTITIES, *OTHER_KEYS)
    for key, value in conditions.items():
        if key not in keys:
            raise ValueError(
                f"{path}: expected entities of BIDS in {name}, found {key!r}{suggest_name(key, keys)}"
            )
        values = value if isinstance(value, list) else [value]
        if not all(item is None or isinstance(item, str | int) for item in values):
            raise ValueError(f"{path}: expected a label, labels or null for {name} {key}, found {value!r}")


def _fits(key: str, value: str | None, condition: Any) -> bool:
    if isinstance(condition, list):
        return any(_fits(key, value, item) for item in condition)
    if condition is None or condition in ABSENT:
        return value is None
    if condition in PRESENT:
        return value is not None
    return condition in ANY or (value is not None and _clean(key, value) == _clean(key, condition))


def _clean(key: str, value: object) -> str:
    """Bring a label to one form: without its key, numbers without zeros before them, one dot before ends."""
    text, short = str(value), ENTITIES.get(key, key)
    text = text.removeprefix(f"{short}-")
    if key == "extension":
        return f".{text.lstrip('.')}"
    return str(int(text)) if short in INDICES and text.isdecimal() else text


def _format_condition(value: Any) -> str:
    if isinstance(value, list):
        return " or ".join(map(_format_condition, value))
    return "absent" if value is None else str(value)
