"""What is written around the tiles of a picture: the model and the result above, the origin below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from diffad.report.canvas import BRIGHT, FAINT, PLAIN, place_text

WARNING, WARNING_LINES, LINE = "#ff7a59", 12, 0.17
"""Colour of warnings, most lines of them, and height of a line in inches."""
FACT_LINES, INDENT = 14, 1.75
"""Most lines of what is said first, and where its texts begin, in inches from where its labels do."""


@dataclass(frozen=True)
class SheetText:
    """What is written around the tiles.

    Args:
        title: Name of the scan.
        subtitle: Its result.
        footer: Model and settings.
        warnings: What must be known before the picture is read.
        facts: What is said first, as label and text.
    """

    title: str
    subtitle: str = ""
    footer: str = ""
    warnings: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()

    def wrap_warnings(self, width: float) -> list[str]:
        """Break the warnings into lines for a picture of some inches, the first ones if there are many."""
        lines = [line for text in self.warnings for line in textwrap.wrap(f"! {text}", int(width * 12.5))]
        return lines if len(lines) <= WARNING_LINES else [*lines[: WARNING_LINES - 1], "! ..."]

    def wrap_facts(self, width: float) -> list[tuple[str, str]]:
        """Break facts into lines for a picture of some inches, the label before the first of each."""
        lines = []
        for label, text in self.facts:
            parts = textwrap.wrap(text, int((width - INDENT) * 13.5)) or [""]
            lines += [(label if index == 0 else "", part) for index, part in enumerate(parts)]
        return lines if len(lines) <= FACT_LINES else [*lines[: FACT_LINES - 1], ("", "...")]

    def measure_height(self, width: float) -> float:
        """Return how much room facts and warnings take, in inches."""
        return LINE * (len(self.wrap_facts(width)) + len(self.wrap_warnings(width)))

    def write(self, figure: Figure) -> None:
        """Write title, subtitle, facts, warnings and footer, cut or broken where the picture ends."""
        width, height = figure.get_size_inches()
        longest = int(width * 7.5)
        title = self.title if len(self.title) <= longest else f"{self.title[: longest - 4]} ..."
        place_text(figure, 0.16, 0.2, title, 15, BRIGHT, weight="bold")
        place_text(figure, 0.16, 0.52, self.subtitle, 9.5, PLAIN)
        top = 0.76
        for label, text in self.wrap_facts(width):
            place_text(figure, 0.16, top, label, 8.5, BRIGHT, weight="bold")
            place_text(figure, 0.16 + INDENT, top, text, 8.5, PLAIN)
            top += LINE
        for line in self.wrap_warnings(width):
            place_text(figure, 0.16, top, line, 8.5, WARNING, weight="bold")
            top += LINE
        lines = [line for part in self.footer.splitlines() for line in textwrap.wrap(part, int(width * 16.5))]
        place_text(figure, 0.16, height - 0.16, "\n".join(lines), 7, FAINT, va="bottom", linespacing=1.5)
