"""The command line: its commands, its global options, its errors and exit codes.

Everything heavy is imported inside the commands, so that help answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from diffad.cli.benchmark import benchmark_command
from diffad.cli.calibrate import calibrate_command
from diffad.cli.data import data_app
from diffad.cli.demo import demo_command
from diffad.cli.evaluate import evaluate_command
from diffad.cli.implant import implant_command
from diffad.cli.list import list_command
from diffad.cli.noise import noise_command
from diffad.cli.phantom import phantom_command
from diffad.cli.predict import predict_command
from diffad.cli.prepare import prepare_command
from diffad.cli.pretrain import pretrain_command
from diffad.cli.report import report_command
from diffad.cli.train import train_command
from diffad.config.plugins import OPTION, load_plugins, split_plugins
from diffad.io.terminal import format_error, is_debugging, is_expected, say
from diffad.io.version import __version__

app = typer.Typer(
    name="diffad",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _print_version(flag: bool) -> None:
    if flag:
        typer.echo(f"diffad {__version__}")
        raise typer.Exit


@app.callback()
def set_global_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
    plugin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|MODULE",
            help="A Python file, or an importable module, that registers parts of your own; may be repeated.",
        ),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error comes from (or set DIFFAD_DEBUG=1).")
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
      diffad --plugin my_noise.py list noises                     the same, with parts of your own

    Research software, not a medical device.
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    if debug:
        os.environ["DIFFAD_DEBUG"] = "1"
    load_plugins(plugin or [])


app.command("train", short_help="Train a model, or go on with a run that was stopped.")(train_command)
app.command("prepare", short_help="Prepare scans for a model.")(prepare_command)
app.command("predict", short_help="Find anomalies in scans.")(predict_command)
app.command("evaluate", short_help="Score maps against lesion masks.")(evaluate_command)
app.command("demo", short_help="Find implanted lesions in a real brain.")(demo_command)
app.command("report", short_help="Make pages and figures of maps again.")(report_command)
app.command("list", short_help="List parts, configs and models by name.")(list_command)
app.command("benchmark", short_help="Compare methods: train, predict, score, report.")(benchmark_command)
app.add_typer(data_app, name="data")
app.command("calibrate", short_help="Measure thresholds on your own healthy scans.")(calibrate_command)
app.command("pretrain", short_help="Pretrain the encoder of a conditioned network.")(pretrain_command)
app.command("noise", short_help="Show a noise in pictures and numbers.")(noise_command)
app.command("phantom", short_help="Make a data set of phantoms.")(phantom_command)
app.command("implant", short_help="Implant lesions in whole healthy brains.")(implant_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 1 for an error, 2 for wrong usage, 130 for Ctrl-C."""
    try:
        app(args=_move_global_options(sys.argv[1:] if arguments is None else arguments), prog_name="diffad")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if is_debugging():
            raise
        hint = "" if is_expected(error) else " (--debug shows where it comes from)"
        say(f"error: {format_error(error)}{hint}")
        return 1
    return 0


def _move_global_options(arguments: Sequence[str]) -> list[str]:
    """Bring options of the whole program before the command, so that they may stand anywhere."""
    sources, words = split_plugins(arguments)
    debug = [word for word in words if word == "--debug"]
    plugins = [word for source in sources for word in (OPTION, source)]
    return debug + plugins + [word for word in words if word != "--debug"]
