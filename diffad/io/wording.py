"""Values in messages: a line stays a line, whatever someone wrote into a file."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

MAX_TEXT = 200
"""Characters of one value in a message."""
MAX_FACT = 88
"""Characters of a line of a fact in a table."""
MAX_LINE = 2000
"""Characters of a whole message."""


class BoundedError(ValueError):
    """An error whose message never fills a terminal, whatever value of a file stands in it."""

    def __init__(self, message: object) -> None:
        super().__init__(shorten(message, MAX_LINE))


def shorten(text: object, limit: int = MAX_TEXT) -> str:
    """Cut a text in its middle to at most ``limit`` characters; a short one passes as it is."""
    whole = str(text)
    if len(whole) <= limit:
        return whole
    head = limit * 2 // 3
    return f"{whole[:head]} ... {whole[len(whole) - (limit - head - 5) :]}"


def format_facts(title: str, facts: Sequence[tuple[str, str]]) -> str:
    """Return a title and facts below it, in two columns of plain text, each of two lines at most."""
    width = max((len(name) for name, _ in facts), default=0)
    lines = [title]
    for name, text in facts:
        parts = textwrap.wrap(text, MAX_FACT, max_lines=2, placeholder=" ...") or [""]
        lines += [f"  {name if i == 0 else '':<{width}}  {part}" for i, part in enumerate(parts)]
    return "\n".join(lines)


def format_duration(seconds: float) -> str:
    """Say a time in the unit that suits it."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"
