"""The command that replaces lesions by healthy tissue."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffad.cli.options import (
    DEFAULT_MODEL,
    BatchSize,
    Device,
    Mask,
    Model,
    Seed,
    parse_mask_option,
    report_wrong_usage,
    require_sources,
)
from diffad.io.console import get_console
from diffad.io.terminal import say, show

if TYPE_CHECKING:
    from diffad.fill import FillOptions
    from diffad.fill.summary import FillSummary
    from diffad.io.subjects import Subject


def fill_command(
    scan: Annotated[
        list[Path],
        typer.Argument(metavar="SCAN", help="NIfTI files, or folders that are searched for them."),
    ],
    lesion: Annotated[
        str,
        typer.Option(
            metavar="FILE|SUFFIX|FOLDER",
            help="Lesion mask of all scans, the ending of the masks' names, like _lesions, or a folder that "
            "diffad predict wrote, whose detections are filled.",
        ),
    ] = "",
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("filled"),
    model: Model = DEFAULT_MODEL,
    prepare: Annotated[
        bool,
        typer.Option(
            "--prepare",
            help="Prepare scans first, see diffad prepare; results return to the scan's own grid.",
        ),
    ] = False,
    mask: Mask = "",
    dilate: Annotated[float, typer.Option(metavar="MM", help="How far the lesion mask grows first.")] = 2.0,
    feather: Annotated[
        int,
        typer.Option(
            metavar="K", help="Voxels, inside the grown mask, over which the fill fades into the scan."
        ),
    ] = 0,
    members: Annotated[
        int, typer.Option(metavar="N", help="Fills to make; their mean is written, and their spread.")
    ] = 1,
    start_level: Annotated[
        int | None,
        typer.Option(
            metavar="LEVEL",
            help="Noise level that re-sampling starts at; 60 by default; the lesion is not seen at any.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int, typer.Option(help="Moves from there to the clean scan.")] = 3,
    repeats: Annotated[int, typer.Option(help="Times that each move is made.")] = 1,
    selftest: Annotated[
        bool,
        typer.Option(
            "--selftest",
            help="Lay masks into healthy SCANs, and score the fills against the truth, beside simple fills.",
        ),
    ] = False,
    seed: Seed = 0,
    batch_size: BatchSize = 8,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Redo scans that have results.")] = False,
) -> None:
    """Replace lesions by healthy-looking tissue, for tools that stumble on them.

    Outside the grown mask every voxel stays as it is in the file. The network never sees the lesion. Each
    scan gets NAME_filled.nii.gz, NAME_fillmask.nii.gz, a picture and NAME_filled.json, and with several
    members NAME_fillstd.nii.gz. --prepare finds the brain in a head, and fills on the grid of the head.

    \b
    Examples:
      diffad fill sub-01_T1w.nii.gz --lesion sub-01_lesion.nii.gz --out filled
      diffad fill cohort/ --lesion _lesions --mask _brain --out filled
      diffad fill sub-01_T1w.nii.gz --lesion maps --out filled        what diffad predict found
      diffad fill healthy/ --selftest --mask _label-brain_mask --out scores
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.fill import FillOptions

    with report_wrong_usage():
        options = FillOptions(dilate, feather, members, start_level, steps, repeats, seed, batch_size)
    if selftest == bool(lesion):
        raise typer.BadParameter("expected --lesion, or --selftest with healthy scans, and not both")
    if selftest and prepare:
        raise typer.BadParameter("--selftest: expected scans without their skulls, or --mask, not --prepare")
    subjects = _find_subjects(require_sources(scan), out, mask, lesion)
    if selftest:
        raise typer.Exit(_score_scans(subjects, out, model, mask, device, options))
    raise typer.Exit(_fill(subjects, out, model, mask, device, options, (lesion, prepare, overwrite)))


def _find_subjects(scan: Sequence[Path], out: Path, mask: str, lesion: str) -> Sequence[Subject]:
    from diffad.io.search import find_scans
    from diffad.io.subjects import group_subjects

    is_folder = bool(lesion) and Path(lesion).is_dir()
    other = None if is_folder else parse_mask_option(lesion)
    search = find_scans(scan, out, parse_mask_option(mask), other)
    for note in [*search.describe_gaps(), *search.describe_rest()]:
        say(f"note: {note}")
    return group_subjects(search.scans)


def _fill(
    subjects: Sequence[Subject],
    out: Path,
    model: str,
    mask: str,
    device: str,
    options: FillOptions,
    how: tuple[str, bool, bool],
) -> int:
    """Fill all scans and return the exit code."""
    from diffad.fill.run import FillRequest, fill_scans
    from diffad.predict.run import choose_device, load_model

    lesion, prepare, overwrite = how
    source = Path(lesion) if Path(lesion).is_dir() else parse_mask_option(lesion)
    assert source is not None
    pipe = load_model(model, choose_device(device))
    request = FillRequest(source, out, parse_mask_option(mask), prepare, overwrite, options)
    return _summarise(fill_scans(pipe, subjects, request), out)


def _summarise(summary: FillSummary, out: Path) -> int:
    """Say what became of all scans, and return the exit code."""
    text = f"{summary}; see {out}"
    get_console().emit("summary", text, sys.stdout, **summary.to_dict(), out=str(out))
    return int(bool(summary.failures))


def _score_scans(
    subjects: Sequence[Subject], out: Path, model: str, mask: str, device: str, options: FillOptions
) -> int:
    """Score fills of healthy tissue, show the table, and return the exit code."""
    from diffad.fill.table import format_table, score_scans
    from diffad.predict.run import choose_device, load_model

    pipe = load_model(model, choose_device(device))
    rows, summary = score_scans(pipe, subjects, parse_mask_option(mask), out, options)
    show("selftest", format_table(rows), rows=rows)
    if summary.failures:
        say(f"{len(summary.failures)} of {len(subjects)} scans are not in the table")
    return int(bool(summary.failures))
