"""The command that is a BIDS App, and the program ``diffad-bids``, which is the same by another name."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from diffad.cli.options import (
    AUTO_MODEL,
    BatchSize,
    Bias,
    Brain,
    Device,
    Mask,
    Number,
    Register,
    ScanModality,
    Seed,
    Sequences,
    Slices,
    parse_mask_option,
    parse_slices,
    parse_threshold,
    parse_words,
    report_wrong_usage,
)
from diffad.cli.predict import report_summary
from diffad.cli.predict_options import (
    KeepSmall,
    ModelChoice,
    OnFailure,
    Overwrite,
    Page,
    Spaces,
    Strict,
    Threshold,
    Verify,
    choose_preparation,
)
from diffad.config.choices import AnalysisLevel
from diffad.io.console import get_console
from diffad.io.terminal import say

if TYPE_CHECKING:
    from diffad.bids_app.inputs import AppInputs
    from diffad.predict import Inputs, Options

NAME = "bids-app"
LABEL_OPTIONS = ("--participant-label", "--session-label")
LEVELS = get_args(AnalysisLevel)
FORMER_OPTIONS = {
    "--participant_label": "--participant-label",
    "--session_label": "--session-label",
    "--skip_bids_validator": "--skip-bids-validation",
}
"""Other spellings of BIDS Apps."""


def bids_app_command(
    bids_dir: Annotated[Path, typer.Argument(metavar="BIDS_DIR", help="The data set.")],
    out_dir: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="Folder of the derivative.")],
    level: Annotated[
        AnalysisLevel,
        typer.Argument(
            metavar="participant|group",
            help="Look at the scans of participants, or write table and page over all.",
        ),
    ],
    participant_label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL...", help="Participants to look at, with or without sub-; all by default."
        ),
    ] = None,
    session_label: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL...", help="Sessions to look at, with or without ses-; all by default."),
    ] = None,
    bids_filter_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='JSON of filters by entity, as {"t1w": {"session": "01", "acquisition": null}}.',
        ),
    ] = None,
    skip_bids_validation: Annotated[
        bool, typer.Option("--skip-bids-validation", help="Do not run the BIDS validator on the data set.")
    ] = False,
    work_dir: Annotated[
        Path | None,
        typer.Option("-w", "--work-dir", metavar="FOLDER", help="Keep scratch and prepared scans here."),
    ] = None,
    nprocs: Annotated[
        int | None,
        typer.Option(
            metavar="COUNT",
            help="Most cores to use, shared among processes that each look at some participants.",
            show_default=False,
        ),
    ] = None,
    mem_gb: Annotated[
        float | None,
        typer.Option(
            metavar="GB", help="Most memory to use; bounds the number of processes.", show_default=False
        ),
    ] = None,
    model: ModelChoice = AUTO_MODEL,
    no_prepare: Annotated[
        bool,
        typer.Option("--no-prepare", help="Take scans as they are: skull-stripped, or with masks (--mask)."),
    ] = False,
    modality: ScanModality = "mri",
    brain: Brain = "auto",
    register: Register = "affine",
    bias: Bias = True,
    mask: Mask = "",
    sequences: Sequences = "",
    slices: Slices = "",
    threshold: Threshold = "",
    seed: Seed = 0,
    batch_size: BatchSize = 8,
    precision: Number = "auto",
    keep_small: KeepSmall = False,
    space: Spaces = None,
    page: Page = True,
    on_failure: OnFailure = "any",
    device: Device = "auto",
    overwrite: Overwrite = False,
    verify: Verify = False,
    strict: Strict = False,
) -> None:
    """Look at a BIDS data set, by the conventions of BIDS Apps; diffad-bids is the same program.

    At the level participant every T1w, T2w and FLAIR in anat/ (with --modality ct every ct) is prepared,
    looked at by the model, and gets its maps in a BIDS derivative. At the level group the derivative gets
    group.tsv, a row for each scan with the columns of participants.tsv, and index.html. What is finished is
    left alone, and several machines may work on one derivative at the same time. The exit code is 0 if all
    went well, 1 if something failed (see --on-failure), and 2 for wrong usage.

    \b
    Examples:
      diffad bids-app bids bids/derivatives/diffad participant
      diffad bids-app bids bids/derivatives/diffad participant --participant-label 01 02 --sequences T1w
      diffad bids-app bids bids/derivatives/diffad participant --nprocs 4 --mem-gb 16 -w work
      diffad bids-app bids bids/derivatives/diffad group
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.bids_app.inputs import AppInputs
    from diffad.predict import Options

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    labels = participant_label or (), session_label or ()
    limits: dict[str, Any] = {"work": work_dir, "nprocs": nprocs, "mem_gb": mem_gb}
    with report_wrong_usage():
        app = AppInputs(bids_dir, out_dir, *labels, bids_filter_file, skip_bids_validation, **limits)
        mask_source = parse_mask_option(mask)
        inputs = _make_inputs(
            app,
            model=model,
            mask=mask_source,
            sequences=parse_words(sequences),
            device=device,
            overwrite=overwrite,
            verify=verify,
            spaces=tuple(space or ("native",)),
            page=page,
            on_failure=on_failure,
            prepare=None if no_prepare else choose_preparation(modality, bias, brain, register, mask_source),
        )
        options = Options(
            threshold=parse_threshold(threshold),
            slices=parse_slices(slices),
            seed=seed,
            batch_size=batch_size,
            precision=precision,
            keep_small=keep_small,
            strict=strict,
        )
    work = _write_group if level == "group" else partial(_look_at_participants, inputs, options)
    raise typer.Exit(work(app))


def _make_inputs(app: AppInputs, **choices: Any) -> Inputs:
    from diffad.predict import Inputs

    return Inputs(sources=[app.root], out=app.out, layout="bids", **choices)


def _look_at_participants(inputs: Inputs, options: Options, app: AppInputs) -> int:
    """Look at all participants, say what became of them, and return the exit code."""
    from diffad.bids_app.participant import run_participants

    try:
        summary = run_participants(app, inputs, options)
    except KeyboardInterrupt:
        say("stopped; finished scans are whole, run the same command to go on")
        return 130
    report_summary(summary, app.out, inputs.page)
    return summary.code(inputs.on_failure)


def _write_group(app: AppInputs) -> int:
    from diffad.bids_app.group import write_group

    if app.participants or app.sessions:
        say("note: the group is all that was looked at; labels choose at the level participant alone")
    files = write_group(app)
    count = f"{files.scans} scan{'s' if files.scans != 1 else ''}, {files.failures} without results"
    text = f"{count}; see {files.table} and {files.page}"
    fields = {"scans": files.scans, "failed": files.failures}
    get_console().emit("group", text, sys.stdout, **fields, table=str(files.table), page=str(files.page))
    return 0


def spread_labels(words: Sequence[str]) -> list[str]:
    """Give every label its own option, as BIDS Apps take several after one: ``--participant-label 01 02``.

    Labels end at the next option, at a level and at a path. Words of other commands stay as they are.

    Args:
        words: The words of the command line.
    """
    if NAME not in words:
        return list(words)
    spread_words: list[str] = []
    option = ""
    for word in words:
        name, equals, value = word.partition("=")
        word = FORMER_OPTIONS.get(name, name) + equals + value
        if word.startswith("-") and word != "-":
            option = word if word in LABEL_OPTIONS else ""
            spread_words += [] if option else [word]
        else:
            option = "" if word in LEVELS or "/" in word else option
            spread_words += [option, word] if option else [word]
    return spread_words
