"""The command line: its commands, its global options, its errors and exit codes.

Everything heavy is imported inside the commands, so that help answers at once.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from diffad.cli.benchmark import benchmark_command
from diffad.cli.bids_app import NAME as BIDS_APP
from diffad.cli.bids_app import bids_app_command, spread_labels
from diffad.cli.calibrate import calibrate_command
from diffad.cli.compare import compare_command
from diffad.cli.completion import name_shell
from diffad.cli.data import data_app
from diffad.cli.demo import demo_command
from diffad.cli.dicom import dicom_command
from diffad.cli.doctor import doctor_command
from diffad.cli.evaluate import evaluate_command
from diffad.cli.export import export_command
from diffad.cli.fill import fill_command
from diffad.cli.group import group_command
from diffad.cli.implant import implant_command
from diffad.cli.info import info_command
from diffad.cli.list import list_command
from diffad.cli.models import models_app
from diffad.cli.noise import noise_command
from diffad.cli.phantom import phantom_command
from diffad.cli.predict import predict_command
from diffad.cli.prepare import prepare_command
from diffad.cli.pretrain import pretrain_command
from diffad.cli.report import report_command
from diffad.cli.sweep import sweep_command
from diffad.cli.synthesise import synthesise_command
from diffad.cli.talking import TALK_WORDS, talk
from diffad.cli.train import train_command
from diffad.cli.version import version_command
from diffad.config.plugins import OPTION, load_plugins, split_plugins
from diffad.io.console import Console, get_console, use_console
from diffad.io.terminal import format_error, is_debugging, is_expected, say
from diffad.io.version import __version__
from diffad.registry import suggest_name

app = typer.Typer(
    name="diffad",
    add_completion=True,
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
      diffad demo                                                 a whole brain, lesions in it, a picture
      diffad predict scan.nii.gz --model brain-any --out maps    anomaly maps of a skull-stripped scan
      diffad predict scan.nii.gz --prepare --out maps             the same of a scan as the scanner left it
      diffad evaluate maps --masks lesions                        how good the maps are
      diffad train smoke                                          train a tiny model in seconds
      diffad phantom --out phantoms                               heads to try things on, healthy and not
      diffad noise --all --save noises.png                        what scans can be corrupted with
      diffad list samplers                                        what a config can be put together from
      diffad info scan.nii.gz                                     what a scan is, and which model suits it
      diffad doctor                                               whether all is well on this machine
      diffad --plugin my_noise.py list noises                     the same, with parts of your own

    Research software, not a medical device.
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    if debug:
        os.environ["DIFFAD_DEBUG"] = "1"
    load_plugins(plugin or [])


COMMANDS: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("demo", "Find synthetic lesions in a whole brain.", demo_command),
    ("predict", "Find anomalies in scans.", predict_command),
    (BIDS_APP, "Look at a BIDS data set, by the conventions of BIDS Apps.", bids_app_command),
    ("compare", "Compare two visits of one person.", compare_command),
    ("fill", "Replace lesions by healthy tissue.", fill_command),
    ("prepare", "Prepare scans for a model.", prepare_command),
    ("report", "Make pages and figures of maps again.", report_command),
    ("group", "Sum up a cohort as group maps.", group_command),
    ("dicom", "Write what was found as DICOM objects.", dicom_command),
    ("evaluate", "Score maps against lesion masks.", evaluate_command),
    ("calibrate", "Measure thresholds on your own healthy scans.", calibrate_command),
    ("export", "Export the network of a model for an engine.", export_command),
    ("train", "Train a model, or go on with a run that was stopped.", train_command),
    ("pretrain", "Pretrain the encoder of a conditioned network.", pretrain_command),
    ("benchmark", "Compare methods: train, predict, score, report.", benchmark_command),
    ("sweep", "Train a recipe at several values of one setting.", sweep_command),
    ("list", "List parts, configs and models by name.", list_command),
    ("noise", "Show a noise in pictures and numbers.", noise_command),
    ("phantom", "Make a data set of phantoms.", phantom_command),
    ("implant", "Implant lesions in whole healthy brains.", implant_command),
    ("synthesise", "Paint lesions into healthy scans.", synthesise_command),
    ("info", "Say what a scan, a model or a result is.", info_command),
    ("doctor", "Check this machine and this installation.", doctor_command),
    ("version", "Show the version, and those of what it builds on.", version_command),
)
"""Names of the commands, what they do in a few words, and what they run, in the order of the help."""

PYTHON_FORMAT = warnings.formatwarning
"""How Python writes a warning, with its place."""

for _name, _help, _command in COMMANDS:
    app.command(_name, short_help=_help)(talk(_name, _command))
GROUPS = {"data": data_app, "models": models_app}
"""Commands that only hold others."""
for _name, _group in GROUPS.items():
    app.add_typer(_group, name=_name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 1 for an error, 2 for wrong usage, 130 for Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    warnings.formatwarning = format_warning
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # fonts that nobody asked for
    with use_console(Console(as_json="--json" in words)):
        try:
            words = spread_labels(_move_global_options(name_shell(words)))
            code = app(args=words, prog_name="diffad", standalone_mode=False)
            return code if isinstance(code, int) else 0
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except (KeyboardInterrupt, typer.Abort):
            return 130
        except Exception as error:
            return _report_error(error)


def run_bids_app(arguments: Sequence[str] | None = None) -> int:
    """Run the program ``diffad-bids``, which is ``diffad bids-app``, and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return main(["--version"] if "--version" in words else [BIDS_APP, *words])


def format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Say a warning of our own as all others are said, and format any other as Python does."""
    if category is UserWarning and Path(filename).is_relative_to(Path(__file__).parents[1]):
        say(f"warning: {message}")
        return ""
    return PYTHON_FORMAT(message, category, filename, lineno, line)


def _report_error(error: Exception) -> int:
    """Say what is wrong and return the exit code; wrong usage is said as typer says it."""
    if hasattr(error, "format_message") and isinstance(code := getattr(error, "exit_code", None), int):
        context = getattr(error, "ctx", None)
        if type(error).__name__ == "NoArgsIsHelpError":  # of click
            return _report_no_command(
                error.format_message(), getattr(context, "command_path", "diffad"), code
            )
        if context is not None and not get_console().as_json:
            print(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n", file=sys.stderr)
        get_console().emit("error", _clean_message(error.format_message()), code=code)
        return code
    if is_debugging():
        raise error
    hint = "" if is_expected(error) else " (--debug shows where it comes from)"
    get_console().emit("error", f"{format_error(error)}{hint}", code=1)
    return 1


def _report_no_command(usage: str, path: str, code: int) -> int:
    """Show people the help, and tell programs what is missing."""
    if get_console().as_json:
        get_console().emit("error", f"expected a command; {path} --help lists them", code=code)
    else:
        print(usage)
    return code


def _clean_message(text: str) -> str:
    """Take words of typer off that say nothing, and ask for the choice that is most like a wrong one."""
    text = re.sub(r"^Invalid value: ", "", text.replace("Value error, ", ""))
    if match := re.search(r"'([^']*)' is not one of ('.*')", text):
        text = text.rstrip(".") + (suggest_name(match[1], re.findall(r"'([^']*)'", match[2])) or ".")
    return text


def _move_global_options(arguments: Sequence[str]) -> list[str]:
    """Bring options of the whole program before the command and those of all commands behind it.

    Both may then stand anywhere.
    """
    sources, words = split_plugins(arguments)
    debug = [word for word in words if word == "--debug"]
    plugins = [word for source in sources for word in (OPTION, source)]
    words = [word for word in words if word != "--debug"]
    count = 0
    while count < len(words) and words[count].partition("=")[0] in TALK_WORDS:
        count += 2 if words[count] == "--log" else 1
    end = words.index("--") if "--" in words else len(words)
    command, talk_words = words[count:end], words[:count]
    if set(command) <= {*GROUPS, *TALK_WORDS}:  # no command can speak as they ask
        command, talk_words = [word for word in command if word in GROUPS], []
    return debug + plugins + command + talk_words + words[end:]
