"""What every command can be asked: to say less, more, into a file, or as JSON."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from diffad.io.console import NORMAL, QUIET, VERBOSE, Console, get_console, use_console

TALK = {
    "quiet": Annotated[
        bool, typer.Option("-q", "--quiet", help="Say only warnings, failures and what was asked for.")
    ],
    "verbose": Annotated[bool, typer.Option("-v", "--verbose", help="Say every stage of the work, too.")],
    "log": Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Add all that is said to this file, with times, -v or not."),
    ],
    "as_json": Annotated[
        bool, typer.Option("--json", help="Say everything on stdout as JSON, one object a line.")
    ],
}
"""The options of every command, by the name of what they set."""
TALK_WORDS = ("-q", "--quiet", "-v", "--verbose", "--log", "--json")
DEFAULTS: dict[str, Any] = {"quiet": False, "verbose": False, "log": None, "as_json": False}


def talk(name: str, command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that all commands have, and let it speak as they say.

    Args:
        name: Name of the command, as programs are told it.
        command: What it does, as typer takes it.
    """

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        choices = {key: options.pop(key, default) for key, default in DEFAULTS.items()}
        with use_console(_make_console(name, **choices)):
            return command(*arguments, **options)

    signature = inspect.signature(command, eval_str=True)
    parameters = [*signature.parameters.values()]
    extra = [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS[key], annotation=hint)
        for key, hint in TALK.items()
    ]
    run.__signature__ = signature.replace(parameters=[*parameters, *extra])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters} | TALK
    return run


def _make_console(name: str, quiet: bool, verbose: bool, log: Path | None, as_json: bool) -> Console:
    """Make the console of a command.

    Raises:
        BadParameter: If it is to say less and more at once, or the log cannot be written.
    """
    if quiet and verbose:
        raise typer.BadParameter("expected -q or -v, got both")
    level = QUIET if quiet else VERBOSE if verbose else NORMAL
    try:
        return Console(level, as_json or get_console().as_json, log, name)
    except OSError as error:
        raise typer.BadParameter(f"--log: {log} cannot be written ({error.strerror})") from error
