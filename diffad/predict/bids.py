"""BIDS: which files of a data set are scans, what it lacks, and the derivative that is made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from diffad.io.naming import split_entities
from diffad.io.nifti import stem
from diffad.io.paths import is_folder, is_lost
from diffad.io.search import NO_CONTENT
from diffad.io.subjects import Subject, name_suffix
from diffad.predict.dataset import root_of as root_of

FOLDERS = ("anat", "ct")
"""Folders of a subject that hold scans of the head in three dimensions."""
OTHER_FOLDERS = ("derivatives", "sourcedata", "code", "stimuli", "phenotype")
"""Folders of a data set that are no raw data."""


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


def list_visits(root: Path) -> list[Path]:
    """List the folders of the subjects and sessions of a data set, in order."""
    subjects = sorted(path for path in root.glob("sub-*") if is_folder(path) or is_lost(path))
    return [visit for path in subjects for visit in sorted(path.glob("ses-*")) or [path]]


def find_gaps(
    root: Path, scans: Sequence[Path], sequences: Sequence[str], gaps: Sequence[Path] = ()
) -> dict[str, str]:
    """Say what the subjects and sessions of a data set lack that have a folder but no scan, by name.

    Args:
        root: The data set.
        scans: Scans in it that are looked at.
        sequences: What is asked of each, for the message.
        gaps: Scans in it without content.
    """
    parents, gap_parents = ({q for p in paths for q in p.absolute().parents} for paths in (scans, gaps))
    visits = [v for v in list_visits(root) if v.absolute() not in parents | gap_parents]
    lack = f"no {', '.join(sequences)}" if sequences else "no scan in anat/"
    names = {visit: "_".join(visit.relative_to(root).parts) for visit in visits}
    return {name: NO_CONTENT if is_lost(visit) else lack for visit, name in names.items()}


def place_subject(subject: Subject, sequences: Sequence[str] = ()) -> Subject:
    """Give a subject of a data set its BIDS name and its folder in a derivative.

    Several sequences of one subject keep their entities and take the suffix of the first. A name that lacks
    the session of its folder gets it, as two sessions would share their results otherwise.
    """
    if not subject.paths:
        return replace(subject, bids=True)
    first = subject.paths[0]
    root = root_of(first)
    folder = first.absolute().parent.relative_to(root) if root else Path()
    return replace(subject, name=_name_session(stem(first), folder), folder=folder, bids=True)


def _name_session(name: str, folder: Path) -> str:
    session = next((part for part in folder.parts if part.startswith("ses-")), None)
    who, _, rest = name.partition("_")
    return name if session is None or "_ses-" in name else "_".join(filter(None, (who, session, rest)))


def separate_names(subjects: Sequence[Subject]) -> list[Subject]:
    """Tell subjects of one name apart by their folders, or suffixes, as ``desc-`` in their names.

    Raises:
        ValueError: If the folders cannot tell them apart either; both scans are named.
    """
    counts = Counter(subject.name for subject in subjects)
    names = [_name_folder(s) if counts[s.name] > 1 and s.paths else s.name for s in subjects]
    order = sorted(range(len(names)), key=lambda i: (not _is_usual(subjects[i]), i))
    taken_names: set[str] = set()
    for index in order:
        if names[index] in taken_names:
            names[index] = _name_suffix(subjects[index], names[index])
        taken_names.add(names[index])
    for index, name in enumerate(names):
        if (first := names.index(name)) != index:
            pair = f"{subjects[first].paths[0]} and {subjects[index].paths[0]}"
            raise ValueError(f"{pair} would share the name of their results; rename one")
    return [replace(subject, name=name) for subject, name in zip(subjects, names, strict=True)]


def _name_folder(subject: Subject) -> str:
    parts = [p for p in subject.folder.parts[:-1] if not p.startswith(("sub-", "ses-"))]
    label = "".join(filter(str.isalnum, "".join(part[:1].upper() + part[1:] for part in parts)))
    return _add_description(subject.name, label[:1].lower() + label[1:]) if label else subject.name


def _is_usual(subject: Subject) -> bool:
    return bool(subject.paths) and subject.paths[0].name.endswith(".nii.gz")


def _name_suffix(subject: Subject, name: str) -> str:
    return _add_description(name, name_suffix(subject.paths[0]).replace("_", "")) if subject.paths else name


def _add_description(name: str, label: str) -> str:
    *entities, suffix = name.split("_")
    return "_".join([*entities, f"desc-{label}", suffix])


def warn_mixed(subjects: Sequence[Subject]) -> str | None:
    """Say so if scans of several sequences are to be looked at by one model."""
    counts = Counter(split_entities(s.name)[1] for s in subjects if s.bids and s.paths)
    if len(counts) < 2:
        return None
    summary = ", ".join(f"{n} {suffix}" for suffix, n in counts.most_common())
    return f"mixed sequences: {summary}; a model knows some of them only, so choose with --sequences"
