"""What lies in a folder of DICOM files: visits, the series of each, and what goes by which name."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diffad.dicom.header import ImageHeader, read_image_header
from diffad.dicom.identifiers import hide_identifiers, names_someone
from diffad.dicom.series import Series, group_series
from diffad.io.paths import resolve_path
from diffad.io.subjects import make_names

TWO_PATIENTS = "expected the images of one patient, found those of {count} patients in one folder"


@dataclass(frozen=True)
class Visit:
    """The series of one visit.

    Args:
        folder: The deepest folder that holds all of its files, as it was given.
        name: First part of the names of its results.
        label: What messages call the folder, with what identifies the patient hidden.
        series: All series.
        is_renamed: Whether its folder identifies the patient, so that it goes by another name.
        problem: Why none of it can be looked at; empty if nothing is wrong with the visit as a whole.
        identifiers: Words that identify the patient.
    """

    folder: Path
    name: str
    label: str
    series: tuple[Series, ...] = field(repr=False)
    is_renamed: bool = False
    problem: str = ""
    identifiers: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True)
class VisitListing:
    """All visits, and how many files were no images.

    Args:
        visits: In the order of their folders.
        unreadable: Files that begin as DICOM files but cannot be read.
    """

    visits: tuple[Visit, ...]
    unreadable: int = 0


def find_visits(files: Sequence[Path], keeps_identifiers: bool = False) -> VisitListing:
    """Read the headers of files and say which visits and series they are.

    A visit is a study; its name is that of the deepest folder that holds all of it. Where a part of the
    folder's path identifies the patient, the visit goes by ``sub-`` and eight digits of a hash of its
    StudyInstanceUID, which stay the same whatever other scans there are.

    Args:
        files: DICOM files.
        keeps_identifiers: Leave names as they are.

    Raises:
        ImportError: If pydicom is missing.
    """
    headers = [header for header in map(read_image_header, files) if header is not None]
    studies: dict[tuple[tuple[str, str], str], list[ImageHeader]] = {}
    for header in _drop_copies(headers):
        studies.setdefault((header.patient, header.study_uid), []).append(header)
    groups = sorted(studies.values(), key=_rank_study)
    folders = [_find_common_folder(group) for group in groups]
    mixture = _find_mixed(groups)
    names = _name_visits(groups, folders, keeps_identifiers)
    visits = [
        _make_visit(group, folder, name, mixture, keeps_identifiers)
        for group, folder, name in zip(groups, folders, names, strict=True)
    ]
    return VisitListing(tuple(visits), len(files) - len(headers))


def _rank_study(headers: Sequence[ImageHeader]) -> tuple[str, str, str, str]:
    first = headers[0]
    when = (first.get_text("StudyDate"), first.get_text("StudyTime"))
    return (str(_find_common_folder(headers)), *when, first.study_uid)


def _drop_copies(headers: Sequence[ImageHeader]) -> list[ImageHeader]:
    """Drop files that are reached by two names."""
    return list({resolve_path(header.path): header for header in reversed(headers)}.values())[::-1]


def _find_common_folder(headers: Sequence[ImageHeader]) -> Path:
    parents = [header.path.absolute().parent for header in headers]
    common_parts = parents[0].parts
    for parent in parents[1:]:
        pairs = zip(common_parts, parent.parts, strict=False)
        same = [a == b for a, b in pairs]
        common_parts = common_parts[: same.index(False) if False in same else len(same)]
    return Path(*common_parts)


def _find_mixed(groups: Sequence[Sequence[ImageHeader]]) -> dict[Path, int]:
    """Return the folders in which images of several patients lie, with the number of these."""
    patients: dict[Path, set[tuple[str, str]]] = {}
    for header in (header for group in groups for header in group):
        patients.setdefault(header.path.parent, set()).add(header.patient)
    return {folder: len(finding) for folder, finding in patients.items() if len(finding) > 1}


def _name_visits(
    groups: Sequence[Sequence[ImageHeader]], folders: Sequence[Path], keeps_identifiers: bool
) -> list[str]:
    """Name visits by their folders, two of one with numbers, and neutrally where a folder tells more."""
    counts, visit_numbers = Counter(folders), Counter[Path]()
    keys = []
    for folder in folders:
        visit_numbers[folder] += 1
        suffix = f"_visit-{visit_numbers[folder]}" if counts[folder] > 1 else ""
        keys.append(folder.with_name(f"{folder.name or 'scan'}{suffix}"))
    names = make_names(keys)
    words = [_collect_identifiers(group) for group in groups]
    hides = [not keeps_identifiers and names_someone(n, w) for n, w in zip(names, words, strict=True)]
    return [
        _make_neutral_name(group) if hide else name
        for group, name, hide in zip(groups, names, hides, strict=True)
    ]


def _make_neutral_name(headers: Sequence[ImageHeader]) -> str:
    text = headers[0].study_uid or headers[0].series_uid
    return f"sub-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _collect_identifiers(headers: Sequence[ImageHeader]) -> frozenset[str]:
    return frozenset().union(*(header.identifiers for header in headers))


def _make_visit(
    headers: Sequence[ImageHeader],
    folder: Path,
    name: str,
    mixture: dict[Path, int],
    keeps_identifiers: bool,
) -> Visit:
    words = frozenset() if keeps_identifiers else _collect_identifiers(headers)
    counts = [mixture[header.path.parent] for header in headers if header.path.parent in mixture]
    problem = TWO_PATIENTS.format(count=max(counts)) if counts else ""
    label = hide_identifiers(folder, words)
    is_renamed = names_someone(folder.name, words)
    return Visit(folder, name, label, tuple(group_series(headers)), is_renamed, problem, words)
