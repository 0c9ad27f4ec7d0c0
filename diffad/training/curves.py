"""The loss curves of a run as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

ERROR, ACCURACY = "val_mae_", "val_accuracy_"
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

    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    checked = [line for line in lines if "val_loss" in line]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    width = min(window, len(lines))
    smooth = np.convolve([line["loss"] for line in lines], np.ones(width) / width, "valid")
    left.plot(
        [line["step"] for line in lines][width - 1 :], smooth, label=f"training, mean of {width} steps", lw=1
    )
    left.plot([c["step"] for c in checked], [c["val_loss"] for c in checked], "o-", ms=3, label="validation")
    left.set(xlabel="step", ylabel="loss", yscale="log")
    left.legend(frameon=False)
    _by_level(right, checked)
    figure.savefig(path, dpi=110)
    return path


def _by_level(axes: Any, checked: list[dict[str, float]]) -> None:
    """Draw one line for each level: the error of the twin, or the accuracy of a classifier."""
    last = checked[-1] if checked else {}
    prefix = ACCURACY if any(k.startswith(ACCURACY) for k in last) else ERROR
    levels = sorted(int(k.removeprefix(prefix)) for k in last if k.removeprefix(prefix).isdigit())
    for level in levels:
        values = [c[f"{prefix}{level}"] for c in checked]
        axes.plot([c["step"] for c in checked], values, label=f"level {level}", lw=1)
    if prefix == ACCURACY:
        axes.set(xlabel="step", ylabel="accuracy", ylim=(0, 1.02))
    else:
        axes.set(xlabel="step", ylabel="mean absolute error of the twin", yscale="log")
    if levels:
        axes.legend(frameon=False, fontsize=7, ncols=2)
