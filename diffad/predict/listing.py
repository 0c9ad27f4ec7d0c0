"""Which subjects a run is about, which of them cannot be looked at, and what is passed over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diffad.dicom.subjects import list_dicom_subjects
from diffad.inference.candidates import is_auto
from diffad.io.nifti import stem
from diffad.io.paths import resolve_path
from diffad.io.search import NO_CONTENT, Search, describe_gaps, list_names
from diffad.io.subjects import Subject, group_subjects
from diffad.predict import bids
from diffad.predict.contrasts import list_contrasts
from diffad.predict.options import Inputs

NO_SERIES = "no DICOM series that can be used"
"""Why a visit cannot be looked at; more is said of each."""


@dataclass
class CohortListing:
    """What is looked at, and what is not.

    Args:
        subjects: Subjects with all their scans.
        absent: Why other subjects cannot be looked at, by name.
        details: More on that for some of them, for the table.
        ignored_files: How many masks, maps and scans of other folders are passed over.
        notes: What else is passed over, and what should be known of the choice.
    """

    subjects: list[Subject]
    absent: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    ignored_files: int = 0
    notes: list[str] = field(default_factory=list)

    def describe(self) -> list[str]:
        """Say what is absent and passed over, one sentence for each reason."""
        return [*describe_absent(self.absent, len(self.subjects) + len(self.absent)), *self.notes]


def describe_absent(absent: Mapping[str, str], total: int) -> list[str]:
    """Say how many subjects cannot be looked at, one sentence for each reason."""
    lines = []
    for reason in dict.fromkeys(absent.values()):
        names = [name for name, why in absent.items() if why == reason]
        if reason == NO_CONTENT:
            lines += describe_gaps(names, total, "subjects")
        else:
            verb = "has" if len(names) == 1 else "have"
            lines.append(f"{len(names)} of {total} subjects {verb} {reason}: {list_names(names, 10)}")
    return lines


def list_subjects(inputs: Inputs, search: Search) -> CohortListing:
    """Make subjects of scans; those of a BIDS data set keep their names and folders.

    Raises:
        ValueError: If there is no scan, or names or data sets do not go together.
    """
    roots = {bids.root_of(path) for path in search.scans}
    if search.dicom and not any(roots):
        return _list_mixed(inputs, search)
    if search.dicom:
        search.listing.others += search.dicom
    if inputs.layout == "plain" or (inputs.layout == "auto" and None in roots):
        return _list_plain(inputs, search)
    if None in roots or len(roots) > 1:
        raise ValueError("layout: expected scans of one folder with a dataset_description.json for bids")
    (root,) = roots
    assert root is not None
    return _list_bids(inputs, search, root)


def _list_mixed(inputs: Inputs, search: Search) -> CohortListing:
    """Make subjects of DICOM files, beside those of other files where there are any.

    Raises:
        ValueError: If sequences are asked for, which go by names of files.
    """
    if inputs.sequences:
        raise ValueError(
            "sequences: expected NIfTI files, which are told apart by their names, found DICOM files; "
            "convert them first, or leave --sequences out and choose with --series"
        )
    listing = _list_plain(inputs, search) if search.scans else CohortListing([], notes=search.describe_rest())
    contrasts = list_contrasts(inputs.model, bool(inputs.prepare and inputs.prepare.modality == "ct"))
    names = [*(subject.name for subject in listing.subjects), *listing.absent]
    options = (contrasts, inputs.series, inputs.keep_identifiers)
    dicom_listing = list_dicom_subjects(search.dicom, *options, scans=search.scans, names=names)
    listing.subjects += dicom_listing.subjects
    listing.absent |= dict.fromkeys(dicom_listing.absent, NO_SERIES)
    listing.details |= dicom_listing.absent
    listing.notes += [
        *dicom_listing.notes,
        *(f"{name}: {error}" for name, error in dicom_listing.absent.items()),
    ]
    return listing


def _list_plain(inputs: Inputs, search: Search) -> CohortListing:
    subjects = group_subjects(search.scans, inputs.sequences)
    absent = _find_partial(subjects) | {stem(path): NO_CONTENT for path in search.gaps}
    notes = [*search.describe_rest(), *_describe_strangers(search.scans, subjects, inputs.sequences)]
    complete_subjects = [subject for subject in subjects if not subject.missing]
    return CohortListing(complete_subjects, absent, _describe_partial(subjects), len(search.ignored), notes)


def _list_bids(inputs: Inputs, search: Search, root: Path) -> CohortListing:
    scans, gaps = (_choose_scans(paths, root, inputs.sources) for paths in (search.scans, search.gaps))
    if not scans:
        hints = "".join(f"; {line}" for line in describe_gaps(gaps, len(gaps)))
        raise ValueError(f"{root}: expected scans in sub-*/anat, found none{hints}")
    groups = group_subjects(scans, inputs.sequences)
    subjects = bids.separate_names([bids.place_subject(subject) for subject in groups])
    gaps = [path for path in gaps if not inputs.sequences or _has_sequence(path, inputs.sequences)]
    absent = _find_partial(subjects) | {stem(path): NO_CONTENT for path in gaps}
    if any(resolve_path(source) == resolve_path(root) for source in inputs.sources):
        paths = [path for subject in subjects for path in subject.paths]
        absent |= bids.find_gaps(root, paths, inputs.sequences, gaps)
    warning = None if inputs.sequences or is_auto(inputs.model) else bids.warn_mixed(subjects)
    notes = [*([warning] if warning else []), *search.describe_rest()]
    ignored_files = len(search.ignored) + len(search.scans) - len(scans)
    complete_subjects = [subject for subject in subjects if not subject.missing]
    return CohortListing(complete_subjects, absent, _describe_partial(subjects), ignored_files, notes)


def _choose_scans(paths: Sequence[Path], root: Path, sources: Sequence[Path]) -> list[Path]:
    return [p for p in paths if bids.root_of(p) == root and bids.is_scan(p, root, sources)]


def _has_sequence(path: Path, sequences: Sequence[str]) -> bool:
    return stem(path).endswith(tuple(sequences))


def _find_partial(subjects: Sequence[Subject]) -> dict[str, str]:
    return {s.name: f"no {', '.join(s.missing)}" for s in subjects if s.missing}


def _describe_partial(subjects: Sequence[Subject]) -> dict[str, str]:
    return {
        s.name: f"expected every sequence, found {', '.join(p.name for p in s.paths)} "
        f"but none for {', '.join(s.missing)}"
        for s in subjects
        if s.missing
    }


def _describe_strangers(
    scans: Sequence[Path], subjects: Sequence[Subject], sequences: Sequence[str]
) -> list[str]:
    """Say how many scans are of no sequence that was asked for."""
    chosen_paths = {path for subject in subjects for path in subject.paths}
    others = [path for path in scans if path not in chosen_paths]
    if not others:
        return []
    what = " or ".join(sequences)
    return [f"passed over {len(others)} scans whose names do not end in {what}: {list_names(others)}"]
