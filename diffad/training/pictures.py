"""Pictures of a run: nice to have, and never in the way of what is learned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffad.io.terminal import format_error, say


@contextmanager
def draw_picture(path: Path) -> Iterator[None]:
    """Draw a picture; whatever fails becomes a warning that names it, and the run goes on."""
    try:
        yield
    except Exception as error:
        say(f"warning: {path}: this picture could not be made ({format_error(error)})", error)
