"""Values in messages: a line stays a line, whatever someone wrote into a file."""

from __future__ import annotations

MAX_TEXT = 200
"""Characters of one value in a message."""
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
