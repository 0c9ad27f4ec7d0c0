"""The picture of a comparison: planes through its largest change, with facts and warnings."""

from __future__ import annotations

from diffad.follow_up.comparison import Comparison
from diffad.follow_up.picture import PLANES, FollowUpPicture, choose_change_place, find_largest
from diffad.follow_up.wording import LEGEND, explain_noise, list_comparison_facts, name_change
from diffad.report.montage import NOTICE, describe_origin
from diffad.report.sheet_text import SheetText


def draw_planes(comparison: Comparison, text: SheetText | None = None) -> bytes:
    """Draw three planes through the largest change, as PNG.

    Args:
        comparison: The comparison.
        text: What is written around them; nothing without it.
    """
    place = choose_change_place(comparison, find_largest(comparison.changes))
    return FollowUpPicture(comparison).draw([(axis, place[axis]) for axis in PLANES], text)


def draw_comparison(comparison: Comparison) -> bytes:
    """Draw three planes through the largest change, with facts and warnings, as PNG."""
    change = find_largest(comparison.changes)
    title = f"{comparison.visits[0].path.name} and {comparison.visits[1].path.name}"
    focus = "where the maps differ most" if change is None else name_change(change)
    noise = explain_noise(comparison.noise)[-1] if comparison.noise is None else ""
    footer = f"{LEGEND}\n{noise}\n{describe_origin(comparison.visits[0].info)}\n{NOTICE}"
    subtitle = f"Three planes through {focus}, halfway between the visits"
    facts = list_comparison_facts(comparison)
    return draw_planes(comparison, SheetText(title, subtitle, footer, comparison.warnings, facts))
