"""The picture of a sweep: errors and what is found, against the setting that was varied."""

from __future__ import annotations

import io
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffad.report.benchmark.style import COLOURS

ERRORS = {
    "train_error": "training slices",
    "healthy_error": "healthy slices never seen",
    "lesion_error": "inside lesions",
}
FOUND = {"pixel_ap": "average precision", "oracle_dice": "best Dice (oracle)"}


@dataclass(frozen=True)
class SweepPoint:
    """One training of a sweep.

    Args:
        value: Value of the setting, as it is written.
        seed: Seed of the training.
        train_error: Mean square error of training slices, inside the brain.
        healthy_error: The same of healthy slices never seen.
        lesion_error: The same inside lesions alone.
        pixel_ap: Average precision of the pixels of slices with lesions, mean over the kinds.
        oracle_dice: Their best Dice, whose threshold only the truth knows.
    """

    value: str
    seed: int
    train_error: float
    healthy_error: float
    lesion_error: float
    pixel_ap: float
    oracle_dice: float


def average_values(points: Sequence[SweepPoint], name: str) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation over the seeds of each value, in the order of the sweep."""
    groups: dict[str, list[float]] = defaultdict(list)
    for point in points:
        groups[point.value].append(getattr(point, name))
    return {
        value: (float(np.mean(found)), float(np.std(found, ddof=1)) if len(found) > 1 else 0.0)
        for value, found in groups.items()
    }


def find_elbow(points: Sequence[SweepPoint]) -> str | None:
    r"""Choose a value without any label: where the error of healthy slices never seen bends.

    That is the value farthest below the straight line from the first to the last, on logarithmic scales. It
    is no rule of a paper: the papers choose by the test lesions.

    Returns:
        The value; none where values are no numbers above 0, there are fewer than three, or no error lies
        below the line.
    """
    errors = average_values(points, "healthy_error")
    numbers = _parse_numbers(list(errors))
    if numbers is None or len(numbers) < 3:
        return None
    x, y = np.log(numbers), np.log([mean for mean, _ in errors.values()])
    order = np.argsort(x)
    line = np.interp(x, [x[order[0]], x[order[-1]]], [y[order[0]], y[order[-1]]])
    gain = line - y
    return list(errors)[int(np.argmax(gain))] if gain.max() > 1e-9 else None


def find_best(points: Sequence[SweepPoint]) -> str | None:
    """Choose a value by the lesions, as papers do: the best mean of average precision; none without one."""
    means = {value: mean for value, (mean, _) in average_values(points, "pixel_ap").items()}
    finite = {value: mean for value, mean in means.items() if not math.isnan(mean)}
    return max(finite, key=lambda value: finite[value]) if finite else None


def draw_sweep(key: str, points: Sequence[SweepPoint]) -> bytes:
    """Draw errors on the left and what is found on the right, as a PNG; whiskers are of the seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_lines(left, points, ERRORS)
    left.set(yscale="log", ylabel="mean square error inside the brain")
    _draw_lines(right, points, FOUND)
    right.set(ylim=(0, None), ylabel="mean over the kinds of lesion")
    for axes, chosen, words in (
        (left, find_elbow(points), "elbow, chosen without lesions"),
        (right, find_best(points), "best, chosen by these lesions"),
    ):
        if chosen is not None:
            place = _list_places(points)[chosen]
            axes.axvline(place, color="#999999", ls=":", lw=1, label=f"{chosen}: {words}", zorder=0)
        axes.set_xlabel(key)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _draw_lines(axes: Any, points: Sequence[SweepPoint], names: dict[str, str]) -> None:
    places = _list_places(points)
    for i, (name, label) in enumerate(names.items()):
        values = average_values(points, name)
        y = [mean for mean, _ in values.values()]
        spread = [sd for _, sd in values.values()]
        x = [places[value] for value in values]
        axes.errorbar(x, y, spread, color=COLOURS[i], marker="o", ms=4, capsize=2, label=label)
    if _parse_numbers(list(places)) is not None:
        axes.set_xscale("log")
    axes.set_xticks(list(places.values()), list(places), minor=False)
    axes.minorticks_off()


def _list_places(points: Sequence[SweepPoint]) -> dict[str, float]:
    """Return where each value stands: at its number, or one after the other where one is none."""
    values = list(dict.fromkeys(point.value for point in points))
    return dict(zip(values, _parse_numbers(values) or [float(i) for i in range(len(values))], strict=True))


def _parse_numbers(values: Sequence[str]) -> list[float] | None:
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return None
    return numbers if all(0 < number < math.inf for number in numbers) else None
