"""BIDS: which files of a data set are scans, what it lacks, and the derivative that is made of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from diffad.io.atomic import write_text
from diffad.io.naming import split_entities
from diffad.io.nifti import stem
from diffad.io.subjects import Subject
from diffad.io.version import __version__

DESCRIPTION = "dataset_description.json"
FOLDERS = ("anat", "ct")
"""Folders of a subject that hold scans of the head in three dimensions."""
OTHER_FOLDERS = ("derivatives", "sourcedata", "code", "stimuli", "phenotype")
"""Folders of a data set that are no raw data."""


def root_of(path: Path) -> Path | None:
    """Return the data set that a file or folder lies in, or none: the nearest with a description."""
    start = path.absolute()
    for folder in (start, *start.parents):
        if (folder / DESCRIPTION).is_file():
            return folder
    return None


def is_scan(path: Path, root: Path, sources: Sequence[Path]) -> bool:
    """Tell whether a file of a data set is a scan of the head, not of function, diffusion or a derivative.

    Args:
        path: A file in the data set.
        root: The data set.
        sources: Files and folders that the user named; a scan named itself counts.
    """
    if path in sources:
        return True
    parts = path.absolute().relative_to(root).parts
    return path.parent.name in FOLDERS and path.name.startswith("sub-") and parts[0] not in OTHER_FOLDERS


def find_gaps(root: Path, scans: Sequence[Path], sequences: Sequence[str]) -> list[Subject]:
    """Return the subjects and sessions of a data set that have a folder but no scan.

    Args:
        root: The data set.
        scans: Scans that were found in it.
        sequences: What is asked of each, for the message.
    """
    visits = [v for s in sorted(root.glob("sub-*")) if s.is_dir() for v in sorted(s.glob("ses-*")) or [s]]
    parents = {parent for scan in scans for parent in scan.absolute().parents}
    empty = [v for v in visits if v not in parents]
    missing_sequences = tuple(sequences) or ("any scan in anat/",)
    return [Subject("_".join(v.relative_to(root).parts), (), missing_sequences) for v in empty]


def place_subject(subject: Subject, sequences: Sequence[str] = ()) -> Subject:
    """Give a subject of a data set its BIDS name and its folder in a derivative.

    Several sequences of one subject keep their entities and take the suffix of the first.
    """
    if not subject.paths:
        return replace(subject, bids=True)
    first = subject.paths[0]
    root = root_of(first)
    folder = first.absolute().parent.relative_to(root) if root else Path()
    return replace(subject, name=stem(first), folder=folder, bids=True)


def warn_mixed(subjects: Sequence[Subject]) -> str | None:
    """Say so if scans of several sequences are to be looked at by one model."""
    counts = Counter(split_entities(s.name)[1] for s in subjects if s.bids and s.paths)
    if len(counts) < 2:
        return None
    summary = ", ".join(f"{n} {suffix}" for suffix, n in counts.most_common())
    return f"mixed sequences: {summary}; a model knows some of them only, so choose with --sequences"


def write_description(out: Path, sources: Sequence[Path]) -> None:
    """Write what a derivative must say of itself; one that is there is left as it is.

    Raises:
        OSError: If it cannot be written.
    """
    path = out / DESCRIPTION
    if path.exists():
        return
    about = {
        "Name": "Anomaly maps of diffad",
        "BIDSVersion": "1.9.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "diffad", "Version": __version__}],
        "SourceDatasets": [{"URL": source.resolve().as_uri()} for source in sources],
    }
    write_text(path, json.dumps(about, indent=1))
