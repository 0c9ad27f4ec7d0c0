"""The command line. Everything heavy is imported inside the commands, so that help answers at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from diffad._version import __version__
from diffad.cli import cli_benchmark, cli_data, cli_predict, cli_prepare, cli_report, cli_tools
from diffad.registry import UnknownNameError

app = typer.Typer(
    name="diffad",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"diffad {__version__}")
        raise typer.Exit


@app.callback()
def diffad(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error came from (or DIFFAD_DEBUG=1).")
    ] = False,
) -> None:
    """Find what does not belong in a brain scan, with diffusion models of healthy brains.

    \b
    Examples:
      diffad demo                                                 a real brain, implanted lesions, a picture
      diffad predict scan.nii.gz --model ixi-t1-axial --out maps  anomaly maps of a skull-stripped scan
      diffad predict scan.nii.gz --prepare --out maps             the same of a scan as the scanner left it
      diffad evaluate maps --masks lesions                        how good the maps are
      diffad train smoke                                          train a tiny model in seconds
      diffad phantom --out phantoms                               heads to try things on, healthy and not
      diffad noise --all --save noises.png                        what scans can be corrupted with
      diffad list samplers                                        what a config can be put together from

    Research software, not a medical device.
    """  # noqa: D301 (\b keeps the lines that follow as they are)


@app.command(short_help="Train a model, or go on with a run that was stopped.")
def train(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="A YAML file, or the name of a shipped config.")
    ],
    assignments: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Changes to the config.")
    ] = None,
) -> None:
    """Train a model; a run that was stopped goes on from its last checkpoint.

    \b
    Examples:
      diffad train smoke output=/tmp/runs
      diffad train configs/ixi_t1_axial.yaml data.root=DATA train.steps=2000 "noise={name: gaussian}"
      diffad train configs/andi.yaml variant=smoke                     changes that the file keeps by a name
      accelerate launch -m diffad.training CONFIG [KEY=VALUE]...       the same, on several processes
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.training.run import run_training_arguments as run

    raise typer.Exit(run([config, *(assignments or [])]))


app.command(short_help="Make scans ready for a model.")(cli_prepare.prepare)
app.command(short_help="Find anomalies in scans.")(cli_predict.predict)


@app.command(short_help="Score predictions against lesion masks.")
def evaluate(
    predictions: Annotated[Path, typer.Argument(metavar="PRED_DIR", help="Folder that predict wrote.")],
    masks: Annotated[Path, typer.Option(help="Folder with lesion masks, or the mask of a single scan.")],
    brains: Annotated[
        Path | None, typer.Option(help="Folder with brain masks, instead of what predict looked at.")
    ] = None,
    healthy_without_mask: Annotated[
        bool, typer.Option("--healthy-without-mask", help="Take scans without a lesion mask for healthy.")
    ] = False,
    protocol: Annotated[
        list[str] | None,
        typer.Option(help="Also by a named protocol, with intervals; may be repeated. diffad list protocols"),
    ] = None,
    folds: Annotated[
        int, typer.Option(min=0, help="Tune thresholds on other subjects, in so many folds.")
    ] = 0,
    resample: Annotated[
        bool, typer.Option("--resample", help="Bring masks of other grids to that of the map.")
    ] = False,
    out: Annotated[
        list[Path] | None, typer.Option(help="Write the figures to a .json or .csv file; may be repeated.")
    ] = None,
) -> None:
    """Score predictions against lesion masks, in the part of the brain that was looked at.

    The mask of the scan A is A_lesion, A_lesions, A_seg, A_label, A_labels, A_mask or A (.nii.gz or .nii),
    anywhere in the folder; a trailing part of the name may be missing (sub-01_lesion for sub-01_T1w). Voxels
    above 0 are lesion; an empty mask means a healthy scan. "Best Dice" takes the best threshold for the
    truth: an oracle, not a result.

    \b
    Examples:
      diffad evaluate maps --masks lesions --out scores.json --out scores.csv
      diffad evaluate maps --masks lesions --healthy-without-mask
      diffad evaluate maps --masks lesions --protocol diffad --protocol pddpm --folds 2
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.cli import commands

    how: dict[str, Any] = {"protocols": protocol or [], "folds": folds, "resample": resample}
    raise typer.Exit(commands.evaluate(predictions, masks, brains, healthy_without_mask, out or [], **how))


app.command(short_help="Find implanted lesions in a real brain.")(cli_tools.demo)
app.command(short_help="Make pages and figures of predictions.")(cli_report.report)
app.command("list", short_help="Show parts, configs and models by name.")(cli_tools.list_parts)
app.command(short_help="Compare methods: train, predict, score, report.")(cli_benchmark.benchmark)
app.add_typer(cli_data.app, name="data")
app.command(short_help="Measure thresholds on your own healthy scans.")(cli_tools.calibrate)
app.command(short_help="Pretrain the encoder of a conditioned network.")(cli_tools.pretrain)
app.command(short_help="Show what a noise looks like, in pictures and numbers.")(cli_tools.noise)
app.command(short_help="Make a data set of phantoms: heads that never lived.")(cli_tools.phantom)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 1 for an error, 2 for wrong usage, 130 for Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in words:
        words.remove("--debug")
        os.environ["DIFFAD_DEBUG"] = "1"
    try:
        app(args=words, prog_name="diffad")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get("DIFFAD_DEBUG", "0") not in ("", "0"):
            raise
        print(f"error: {_told(error)}", file=sys.stderr)
        return 1
    return 0


def _told(error: Exception) -> str:
    """Say in one line what a user can mend; anything else is a fault of ours and says so."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, (ValueError, OSError, ImportError, UnknownNameError)):
        return text
    return f"unexpected {type(error).__name__}: {text} (--debug shows where it came from)"
