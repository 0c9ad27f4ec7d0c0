"""The picture of the demo that shows both heads in three planes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from diffad.demo.table import count_detections, describe_elsewhere, list_omissions
from diffad.inference.output import AnomalyOutput
from diffad.io.atomic import write_bytes
from diffad.report.figure import STYLE, save_figure
from diffad.report.montage import NOTICE, name_model

DPI, MARGIN, LINE = 300, 3.0, 3.6
"""Dots per inch of the picture; margin and height of a line of its texts, in mm of paper."""


def draw_heads(sick: AnomalyOutput, healthy: AnomalyOutput, result: dict[str, Any], folder: Path) -> Path:
    """Draw both heads in three planes: each as a picture, and both below each other as ``demo.png``.

    The head without lesions is cut where the other one is, unless something is detected in it.

    Args:
        sick: Result for the brain with lesions.
        healthy: Result for the brain without.
        result: The measures.
        folder: Gets ``demo.png``, ``planes.png`` and ``planes_healthy.png``.

    Raises:
        OSError: If a picture cannot be written.
    """
    found, alarms = sick.lesions(), healthy.lesions()
    upper = save_figure(sick, folder / "planes.png", lesions=found)
    lower = save_figure(healthy, folder / "planes_healthy.png", lesions=alarms or found)
    parts = [
        *_draw_part(upper, [*_describe_sick(sick, result), _describe_place(bool(found))]),
        *_draw_part(lower, [*_describe_healthy(result), _describe_place(bool(alarms), bool(found))]),
    ]
    content, path = io.BytesIO(), folder / "demo.png"
    _stack_images([*parts, _draw_text(["", NOTICE], parts[0].width)]).save(content, "png")
    write_bytes(path, content.getvalue())
    return path


def _describe_sick(sick: AnomalyOutput, result: dict[str, Any]) -> list[str]:
    pool_scores, count = result["pooled"], len(result["lesions"])
    sizes = ", ".join(f"{measures['ml']:.1f}" for measures in result["lesions"].values())
    return [
        f"With {count} synthetic lesions ({sizes} ml): {pool_scores['found']} of {count} found",
        f"Model {name_model(sick.info.get('model'))}, {result['head']}; {describe_elsewhere(result)}",
        f"Result: {result['verdict']}",
        *list_omissions(result),
    ]


def _describe_healthy(result: dict[str, Any]) -> list[str]:
    healthy = result["healthy"]
    return [
        f"The same head without lesions: {count_detections(healthy['detections'])}",
        f"Flagged: {healthy['flagged']}",
        f"Result: {healthy['verdict']}",
    ]


def _describe_place(has_detections: bool, follows: bool = False) -> str:
    """Say where the planes lie; a head without detections may follow the other one."""
    if follows and not has_detections:
        return "The same planes"
    return f"Planes through the peak of the {'largest detection' if has_detections else 'map'}"


def _draw_part(figure: Path, lines: Sequence[str]) -> list[Image.Image]:
    """Read a figure, and draw lines of text as wide as it."""
    with Image.open(figure) as image:
        return [_draw_text(lines, image.width), image.convert("RGB")]


def _draw_text(lines: Sequence[str], width: int) -> Image.Image:
    """Draw lines of text, the first one bold, as wide as a picture of some pixels."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    height_mm = 2 * MARGIN + LINE * len(lines)
    content = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width / DPI, height_mm / 25.4))
        for index, line in enumerate(lines):
            top, left = 1 - (MARGIN + index * LINE + bool(index)) / height_mm, MARGIN / 25.4 * DPI / width
            weight = "normal" if index else "bold"
            figure.text(left, top, line, va="top", weight=weight, size=7 if index else 9)
        figure.savefig(content, format="png", dpi=DPI)
    return Image.open(content).convert("RGB")


def _stack_images(images: Sequence[Image.Image]) -> Image.Image:
    """Put pictures below each other."""
    size = max(image.width for image in images), sum(image.height for image in images)
    stack, top = Image.new("RGB", size, "white"), 0
    for image in images:
        stack.paste(image, (0, top))
        top += image.height
    return stack
