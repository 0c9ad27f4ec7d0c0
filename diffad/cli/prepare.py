"""The command that prepares scans for a model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diffad.cli.options import (
    Bias,
    Brain,
    KeepIdentifiers,
    Mask,
    MaskThreshold,
    MaxVoxels,
    Register,
    ScanModality,
    Seed,
    Sequences,
    Series,
    Trust,
    parse_brain,
    parse_mask_option,
    parse_words,
    report_wrong_usage,
)
from diffad.config.choices import OffsetRule
from diffad.config.reading import MAX_VOXELS, ReadOptions
from diffad.io.console import get_console

if TYPE_CHECKING:
    from diffad.io.search import Search
    from diffad.io.subjects import Subject
    from diffad.prepare import PrepareOptions

WRITTEN_MASK = "_brain_mask"
"""What the names of the masks end in that this command itself writes beside a scan."""
MRI_CONTRASTS = ("T1", "FLAIR", "T2", "PD", "T1 after a contrast agent")
"""Contrasts of an MRI, of which the first that is there is prepared."""


def prepare_command(
    scan: Annotated[
        list[Path],
        typer.Argument(metavar="SCAN", help="NIfTI or DICOM files, folders of them, or a BIDS tree."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the prepared scans; nothing in it is overwritten.")],
    modality: ScanModality = "mri",
    brain: Brain = "auto",
    register: Register = "affine",
    bias: Bias = True,
    spacing: Annotated[float, typer.Option(help="Voxel size in mm; 0 keeps the scan's own grid.")] = 1.0,
    mask: Mask = "",
    mask_threshold: MaskThreshold = None,
    is_one_subject: Annotated[
        bool, typer.Option("--together", help="The scans are sequences of one subject, the reference first.")
    ] = False,
    sequences: Sequences = "",
    series: Series = "",
    keep_identifiers: KeepIdentifiers = False,
    trust: Trust = None,
    max_voxels: MaxVoxels = MAX_VOXELS,
    hu: Annotated[
        OffsetRule,
        typer.Option(help="What to do with a CT that lacks its offset of -1024: refuse it, or shift it."),
    ] = "check",
    seed: Seed = 0,
    threads: Annotated[int, typer.Option(help="Number of threads; 0 takes all cores.")] = 0,
) -> None:
    """Prepare scans for a model: find the brain, remove the bias field, register to MNI152, resample.

    A scan becomes NAME.nii.gz, NAME_brain_mask.nii.gz, NAME_to_native.txt (from prepared mm to scan mm),
    NAME_xfm.tfm (the same for ITK) and last NAME_prepare.json, which says what was done and how well it
    went. Finished scans are skipped, and failed ones are listed at the end. The exit code is 1 if any failed.

    \b
    Examples:
      diffad prepare sub-01_T1w.nii.gz --out prepared
      diffad prepare t1.nii.gz flair.nii.gz --together --out prepared
      diffad prepare bids/ --sequences T1w,FLAIR --out prepared
      diffad prepare dicom/ --series 4 --out prepared
      diffad prepare ct.nii.gz --modality ct --register rigid --out prepared
      diffad predict prepared/ --mask _brain_mask --model brain-any --out maps
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.dicom.choice import check_series_option
    from diffad.io.subjects import find_scans
    from diffad.prepare.options import PrepareOptions

    mask_source, names = parse_mask_option(mask), parse_words(sequences)
    with report_wrong_usage():
        options = PrepareOptions(
            modality=modality,
            bias=bias,
            brain=parse_brain(brain, mask_source),
            register=register,
            spacing=spacing or None,
            hu=hu,
            seed=seed,
            threads=threads,
        )
        check_series_option(series)
        reading = ReadOptions(trust, max_voxels, mask_threshold)
    absent: dict[str, str] = {}
    if is_one_subject and not names:
        subjects = _group_files(scan)
    else:
        search = find_scans(scan, out, mask_source, takes_dicom=True)
        choice = (series, keep_identifiers, modality)
        subjects, absent = _find_subjects(search, names, *choice)
    raise typer.Exit(_prepare_scans(subjects, out, options, mask_source, reading, absent))


def _group_files(scans: Sequence[Path]) -> list[Subject]:
    """Make one subject of files that are its sequences."""
    from diffad.io.nifti import stem
    from diffad.io.subjects import Subject

    if folders := [path for path in scans if path.is_dir()]:
        raise ValueError(f"{folders[0]}: expected files with --together, found a folder; see --sequences")
    return [Subject(stem(scans[0]), tuple(scans))]


def _find_subjects(
    search: Search, sequences: Sequence[str], series: str, keep_identifiers: bool, modality: str
) -> tuple[list[Subject], dict[str, str]]:
    """Make subjects of what was found, and say of which DICOM files there are none, and why."""
    from diffad.dicom.subjects import list_dicom_subjects
    from diffad.io.nifti import stem
    from diffad.io.subjects import group_subjects
    from diffad.io.terminal import say

    if search.dicom and sequences:
        raise ValueError("--sequences: expected NIfTI files, found DICOM files; leave it out, see --series")
    notes = [*search.describe_gaps(), *search.describe_rest()]
    paths = [path for path in search.scans if not stem(path).endswith(WRITTEN_MASK)]
    subjects, absent = group_subjects(paths, sequences) if paths or not search.dicom else [], dict[str, str]()
    if search.dicom:
        contrasts = ("CT",) if modality == "ct" else MRI_CONTRASTS
        names = [subject.name for subject in subjects]
        options = (contrasts, series, keep_identifiers)
        listing = list_dicom_subjects(search.dicom, *options, scans=search.scans, names=names)
        subjects, absent, notes = subjects + listing.subjects, listing.absent, [*notes, *listing.notes]
    for note in notes:
        say(f"note: {note}")
    return subjects, absent


def _prepare_scans(
    subjects: list[Subject],
    out: Path,
    options: PrepareOptions,
    mask: str | Path | None,
    reading: ReadOptions,
    absent: dict[str, str],
) -> int:
    from diffad.io.terminal import Progress, say
    from diffad.prepare.batch import prepare_all

    with Progress(len(subjects)) as progress:
        summary = prepare_all(subjects, out, options, mask, progress.scan, say, reading=reading)
    summary.failed |= absent
    fields: dict[str, Any] = {
        "done": summary.done,
        "done_before": summary.skipped,
        "failed": [*summary.failed],
    }
    get_console().emit("summary", f"{summary}; see {out}", sys.stdout, **fields)
    for name, reason in summary.failed.items():
        say(f"failed {name}: {reason}")
    return 1 if summary.failed else 0
