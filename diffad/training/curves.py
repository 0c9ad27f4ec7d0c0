"""The loss curves of a run as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from diffad.io.shapes import is_number, mapping_of
from diffad.io.text import read_text

LogLine = dict[str, float]
NUMBERS = mapping_of(is_number)
MAX_LEVELS = 40
"""Most levels that are drawn; a legend of more covers the curves."""
ERROR_PREFIX, ACCURACY_PREFIX = "val_mae_", "val_accuracy_"
"""What the log calls the error and the accuracy at a level, before the level."""


def save_curves(log: Path, path: Path, window: int = 50) -> Path:
    """Draw training loss (running mean), validation loss and validation error by level from a JSONL log.

    Args:
        log: The ``log.jsonl`` of a run.
        path: PNG to write.
        window: Steps of the running mean.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    text = read_text(log, "the log of a run", errors="replace")
    lines = [line for line in map(_parse_line, text.splitlines()) if line]
    validations = [line for line in lines if "val_loss" in line]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    loss_axes, level_axes = figure.subplots(1, 2)
    _draw_losses(loss_axes, lines, validations, min(window, len(lines)))
    _draw_levels(level_axes, validations)
    figure.savefig(path, dpi=110)
    return path


def _draw_losses(axes: Any, lines: list[LogLine], validations: list[LogLine], n: int) -> None:
    """Draw the loss of training, as the running mean of ``n`` steps, and of validation."""
    if n:
        mean = np.convolve([line["loss"] for line in lines], np.ones(n) / n, "valid")
        axes.plot([line["step"] for line in lines][n - 1 :], mean, label=f"training, mean of {n} steps", lw=1)
    steps = [line["step"] for line in validations]
    axes.plot(steps, [line["val_loss"] for line in validations], "o-", ms=3, label="validation")
    is_positive = all(line["loss"] > 0 and line.get("val_loss", 1) > 0 for line in lines)
    axes.set(xlabel="step", ylabel="loss", yscale="log" if is_positive else "linear")
    axes.legend(frameon=False)


def _draw_levels(axes: Any, validations: list[LogLine]) -> None:
    """Draw one line for each level: the error of the estimate, or the accuracy of a classifier."""
    keys = {key for line in validations for key in line}
    prefix = ACCURACY_PREFIX if any(k.startswith(ACCURACY_PREFIX) for k in keys) else ERROR_PREFIX
    levels = sorted(int(k.removeprefix(prefix)) for k in keys if k.removeprefix(prefix).isdecimal())
    for level in levels[
        :MAX_LEVELS
    ]:  # a run that was resumed with others looks at some levels only for a while
        points = [(line["step"], line[key]) for line in validations if (key := f"{prefix}{level}") in line]
        axes.plot(*zip(*points, strict=True), label=f"level {level}", lw=1)
    if prefix == ACCURACY_PREFIX:
        axes.set(xlabel="step", ylabel="accuracy", ylim=(0, 1.02))
    else:
        axes.set(xlabel="step", ylabel="mean absolute error of the clean estimate", yscale="log")
    if levels:
        axes.legend(frameon=False, fontsize=7, ncols=2)


def _parse_line(text: str) -> LogLine | None:
    """Read a line of the log; none where it is broken."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) and {"step", "loss"} <= line.keys() and NUMBERS(line) else None
