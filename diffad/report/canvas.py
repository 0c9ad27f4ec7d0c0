"""What pictures on black share: colours, and text and axes placed in inches from the upper left corner."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffad.io.escape import escape_text

PAPER, BRIGHT, PLAIN, FAINT = "#000000", "#f4f6f8", "#b4bcc6", "#7d8794"


def place_text(figure: Figure, x: float, y: float, text: str, size: float, colour: str, **style: Any) -> None:
    """Write at (x, y) inches from the upper left corner.

    Args:
        figure: What is written on.
        x: Distance from the left edge, in inches.
        y: Distance from the upper edge, in inches.
        text: The words.
        size: Size of the font, in points.
        colour: Its colour.
        style: Other options of ``Figure.text``.
    """
    width, height = figure.get_size_inches()
    # names of scans may hold dollar signs, which are no formulas, and bytes that are no text
    style = {"va": "top", "family": "DejaVu Sans", **style}
    words = escape_text(text, keep="\n")
    figure.text(x / width, 1 - y / height, words, fontsize=size, color=colour, parse_math=False, **style)


def place_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Return new axes of a size in inches, whose upper left corner lies at (left, top)."""
    full_width, full_height = figure.get_size_inches()
    bottom = 1 - (top + height) / full_height
    axes = figure.add_axes((left / full_width, bottom, width / full_width, height / full_height))
    axes.set_facecolor(PAPER)
    return axes
