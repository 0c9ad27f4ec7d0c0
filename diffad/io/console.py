"""Where messages go: how much is said, whether as sentences or as JSON, and whether into a file too."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from diffad.io.escape import escape_text

QUIET, NORMAL, VERBOSE = 0, 1, 2
"""How much is said: warnings and failures; also what happens; also every stage of every scan."""
URGENT_EVENTS = ("warning", "failed", "error")
"""Messages that are never left out."""


class Console:
    """Says what happens: to people in sentences, to programs as one JSON object a line.

    Every object has the keys ``event``, ``time`` and ``command``; those of an event are always the same.

    Args:
        level: How much is said; one of ``QUIET``, ``NORMAL`` and ``VERBOSE``.
        as_json: Say everything as JSON, on stdout.
        log: File to which every message is added with its time, however much is said; none for no file.
        command: Name of the command that speaks.

    Raises:
        OSError: If the file cannot be written.
    """

    def __init__(
        self, level: int = NORMAL, as_json: bool = False, log: Path | None = None, command: str = ""
    ) -> None:
        self.level, self.as_json, self.log, self.command = level, as_json, log, command
        self._lock = threading.Lock()
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.open("a", encoding="utf-8").close()

    def emit(
        self, event: str, message: str = "", stream: TextIO | None = None, level: int = NORMAL, **fields: Any
    ) -> None:
        """Say one thing.

        Args:
            event: What kind of thing it is, such as "warning"; the name of the JSON object.
            message: The sentence for people; without one only programs are told.
            stream: Where people read it; stderr by default.
            level: How much must be asked for to hear of it.
            **fields: Further keys of the JSON object, plain values.
        """
        with self._lock:
            now = datetime.now().astimezone()
            speaks = self.level >= level or event in URGENT_EVENTS
            if self.as_json and speaks:
                head = {"event": event, "time": now.isoformat(timespec="milliseconds")}
                values = head | {"command": self.command}
                values |= {"message": escape_text(message)} if message else {}
                _print_line(json.dumps(values | fields, default=str), sys.stdout)
            elif message and speaks:
                _print_line(_format_sentence(event, message), stream or sys.stderr)
            if self.log is not None and message:
                with self.log.open("a", encoding="utf-8", errors="backslashreplace") as file:
                    sentence = escape_text(_format_sentence(event, message))
                    file.write(f"{now.isoformat(sep=' ', timespec='seconds')} {sentence}\n")

    def print_lines(self, lines: Sequence[str], stream: TextIO) -> None:
        """Print lines as they are, for people."""
        with self._lock:
            for line in lines:
                _print_line(line, stream)


def _format_sentence(event: str, message: str) -> str:
    """Put the kind of a message before it, where people should see it at once."""
    return f"{event}: {message}" if event in ("warning", "error", "note") else message


def _print_line(message: str, stream: TextIO) -> None:
    encoding = stream.encoding or "utf-8"
    line = escape_text(message).encode(encoding, "backslashreplace").decode(encoding)
    stream.write(f"{line}\n")
    stream.flush()


_consoles = [Console()]


def get_console() -> Console:
    """Return the console that is in use."""
    return _consoles[-1]


@contextmanager
def use_console(console: Console) -> Iterator[Console]:
    """Let a console speak until the end of the block."""
    _consoles.append(console)
    try:
        yield console
    finally:
        _consoles.remove(console)
