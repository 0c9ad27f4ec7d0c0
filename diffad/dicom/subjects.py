"""The scans that a run makes of DICOM files, under names that identify nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from diffad.data.volume_error import VolumeError
from diffad.dicom.choice import ALL, choose_series, list_choice_warnings
from diffad.dicom.identifiers import hide_text, names_someone
from diffad.dicom.series import Series
from diffad.dicom.visits import Visit, find_visits
from diffad.io.dicom_files import DicomSource
from diffad.io.paths import resolve_path
from diffad.io.subjects import Subject


@dataclass
class DicomListing:
    """What is looked at of DICOM files, and what is not.

    Args:
        subjects: Series that were chosen.
        absent: Why visits cannot be looked at, by name.
        notes: What should be known of the choice, one sentence each.
    """

    subjects: list[Subject] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def list_dicom_subjects(
    files: Sequence[Path],
    contrasts: Sequence[str],
    series: str = "",
    keeps_identifiers: bool = False,
    scans: Iterable[Path] = (),
    names: Iterable[str] = (),
) -> DicomListing:
    """Make subjects of the visits in DICOM files.

    Args:
        files: The files.
        contrasts: Contrasts to look at, the best first.
        series: Which series, see ``choose_series``.
        keeps_identifiers: Let names of results and messages hold what identifies a patient.
        scans: Scans of other formats; a visit in whose folder one lies is passed over.
        names: Names that are taken.

    Raises:
        ImportError: If pydicom is missing.
    """
    listing, finding = DicomListing(), find_visits(files, keeps_identifiers)
    if finding.unreadable:
        listing.notes.append(f"passed over {finding.unreadable} damaged DICOM files")
    folders = [resolve_path(scan.absolute().parent) for scan in scans]
    taken_names = set(names)
    for visit in finding.visits:
        if _holds_any(visit.folder, folders):
            listing.notes.append(
                f"passed over the DICOM files of {visit.label}, as NIfTI scans lie there, too; give their "
                "own folder to use them"
            )
            continue
        if visit.name in taken_names:
            visit = replace(visit, name=f"{visit.name}_dicom")
        _add_visit(visit, contrasts, series, keeps_identifiers, listing)
    return listing


def _holds_any(folder: Path, folders: Sequence[Path]) -> bool:
    own_folder = resolve_path(folder)
    return any(other == own_folder or own_folder in other.parents for other in folders)


def _add_visit(
    visit: Visit, contrasts: Sequence[str], option: str, keeps_identifiers: bool, listing: DicomListing
) -> None:
    if visit.is_renamed:
        listing.notes.append(
            f"a folder of DICOM files is named after its patient; its results are called {visit.name} "
            "(--keep-identifiers keeps names)"
        )
    try:
        choice = choose_series(visit, contrasts, option)
    except VolumeError as error:
        listing.absent[visit.name] = str(error)
        return
    for series in choice:
        source = make_source(visit, series, contrasts)
        name = f"{visit.name}{_name_series(series)}" if option else visit.name
        listing.subjects.append(Subject(name, (Path(visit.label),), dicom=source))
        rest = len(visit.series) - 1
        if rest and option != ALL:
            others = f"of {len(visit.series)}; --series takes another, diffad info lists all"
            listing.notes.append(
                f"{name}: takes series {source.number} ({_describe(series, source)}) {others}"
            )


def _name_series(series: Series) -> str:
    echo = f"_echo-{series.echo}" if series.echo else ""
    return f"_series-{series.number:03d}{echo}"


def _describe(series: Series, source: DicomSource) -> str:
    spacing = " x ".join(f"{v:.3g}" for v in series.spacing or ())
    return ", ".join(word for word in (source.description, source.contrast, f"{spacing} mm") if word)


def make_source(visit: Visit, series: Series, contrasts: Sequence[str] = ()) -> DicomSource:
    """Return the images of a series, as a scan is read from them."""
    text = series.first.get_text("SeriesDescription") or series.first.get_text("ProtocolName")
    paths = [str(visit.folder), *(str(path) for path in series.files)]
    return DicomSource(
        files=series.files,
        folder=visit.folder,
        label=visit.label,
        series_uid=series.first.series_uid,
        study_uid=series.first.study_uid,
        number=series.number,
        description=hide_text(text, visit.identifiers),
        contrast=series.contrast,
        modality=series.first.get_text("Modality"),
        echo=series.echo,
        voxels=series.matrix[0] * series.matrix[1] * series.matrix[2],
        warnings=tuple(list_choice_warnings(series, contrasts)),
        names_files=not any(names_someone(path, visit.identifiers) for path in paths),
    )
