"""What the person who waits sees: progress, where there is a terminal, messages, and errors in one line."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from diffad.io.console import QUIET, get_console
from diffad.io.escape import escape_text
from diffad.io.progress import Progress as Progress
from diffad.io.wording import MAX_LINE, shorten
from diffad.registry import UnknownNameError

if TYPE_CHECKING:
    from rich.text import Text

PAGE_WIDTH = 140
"""Columns of a table where there is no terminal; a pipe has no width, and 80 would be hard to read."""


def say(message: str, error: BaseException | None = None) -> None:
    """Say in one line what happens, on stderr; with DIFFAD_DEBUG=1 also where an error came from.

    A first word "warning:", "note:" or "error:", or "failed", tells programs what kind of message it is; see
    ``Console``. Names in it cannot command the terminal, nor begin a line of their own.
    """
    kind, text = _split_kind(message)
    get_console().emit(kind, text)
    if error is not None and is_debugging():
        traceback.print_exception(error)


def tell(*lines: str, **fields: Any) -> None:
    """Say what came out, on stdout, each in one line; see ``say``.

    Args:
        *lines: Sentences for people.
        **fields: The same for programs, in the object of the first line.
    """
    for number, line in enumerate(lines):
        get_console().emit("result", line, sys.stdout, **({} if number else fields))


def show(event: str, thing: Any = None, **fields: Any) -> None:
    """Show what was asked for on stdout, however little is to be said.

    Args:
        event: What it is.
        thing: What people see: lines of text, or a table of rich; without it they see nothing.
        **fields: What programs see, as one object; without any they see nothing.
    """
    console = get_console()
    if console.as_json:
        if fields:
            console.emit(event, level=QUIET, **fields)
    elif isinstance(thing, str):
        console.print_lines(thing.splitlines(), sys.stdout)
    elif thing is not None:
        from rich.console import Console as RichConsole

        RichConsole(width=None if sys.stdout.isatty() else PAGE_WIDTH).print(thing)


def _split_kind(message: str) -> tuple[str, str]:
    """Tell what kind of message it is, and what it says after the word for that."""
    word, colon, rest = message.partition(": ")
    if colon and word in ("warning", "note", "error"):
        return word, rest
    return ("failed" if message.startswith("failed") else "message"), message


def plain_text(text: object) -> Text:
    """Return text for a table or a line of rich, in which brackets of names are brackets."""
    from rich.text import Text

    return Text(escape_text(str(text)))


def is_debugging() -> bool:
    """Tell whether errors are shown with where they come from."""
    return os.environ.get("DIFFAD_DEBUG", "0") not in ("", "0")


def is_expected(error: BaseException) -> bool:
    """Tell whether an error says what a user can mend; any other is a fault of ours, or of the machine."""
    return isinstance(error, ValueError | OSError | ImportError | UnknownNameError)


def format_error(error: BaseException) -> str:
    """Put an error into one line; one that a user cannot mend says what kind it is."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror and type(error).__str__ is OSError.__str__:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if is_expected(error):
        return shorten(text, MAX_LINE) or type(error).__name__
    return shorten(f"{type(error).__name__}: {text}", MAX_LINE) if text else type(error).__name__


@contextmanager
def hold_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back until a few quick steps that belong together are done."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread hears signals
        yield
        return
    interrupts: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    handlers: dict[Any, Any] = {
        s: signal.signal(s, lambda number, _: interrupts.append(number)) for s in signals
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if interrupts:
        raise KeyboardInterrupt
