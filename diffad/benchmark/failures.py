"""Why methods failed: a file for each, which all processes read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffad.benchmark.progress import ProgressBar
from diffad.io.atomic import write_text
from diffad.io.terminal import format_error, is_debugging
from diffad.io.text import read_text


@contextmanager
def note_errors(out: Path, label: str, bar: ProgressBar) -> Iterator[None]:
    """Note an error as the failure of a method and go on: one method must not end the others."""
    try:
        yield
    except Exception as error:
        if is_debugging():
            raise
        reason = format_error(error)
        note_failure(out, label, reason)
        bar.say(f"{label}: {reason}")


def note_failure(out: Path, label: str, reason: str) -> None:
    """Let all processes know why a method has no more maps."""
    path = out / "failed" / f"{label}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, reason)


def read_failures(out: Path) -> dict[str, str]:
    """Return why methods failed, by label."""
    paths = sorted((out / "failed").glob("[!.]*.txt"))
    return {path.stem: read_text(path, errors="replace") for path in paths}


def forget_failures(out: Path) -> None:
    """Give every method another chance."""
    for path in (out / "failed").glob("*.txt"):
        path.unlink(missing_ok=True)
