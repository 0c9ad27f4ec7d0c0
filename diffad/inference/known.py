"""The scans a model knows: ranges of what was measured of them, stored with the model."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffad.data.brain_box import BOX_SHAPE
from diffad.inference.features import ScanFeatures, correlate, overlap
from diffad.io.wording import shorten


@dataclass(frozen=True)
class Feature:
    """How a measured number is said, and how far beyond those of known scans it may lie.

    Args:
        text: What it is, for a sentence.
        digits: Decimals in the sentence.
        slack: Least distance beyond the range that is tolerated, in its unit.
        unit: Unit, with the space before it.
        above: That distance above the range, where it is another.
    """

    text: str
    digits: int
    slack: float
    unit: str = ""
    above: float | None = None


SHARE = " of the bright end of the brain"
FEATURES = {
    "volume": Feature("the volume of its brain", 0, 150, " ml", above=400),
    "width": Feature("the width of its brain", 0, 10, " mm"),
    "length": Feature("the length of its brain", 0, 12, " mm"),
    "height": Feature("the height of its brain", 0, 15, " mm"),
    "thickness": Feature("the largest edge of its voxels", 1, 1.2, " mm"),
    "grain": Feature("the noise of its brain, by differences of neighbouring voxels,", 3, 0.03, SHARE),
    "gap": Feature("the tissue that one side of its brain lacks beside the other", 0, 12, " ml"),
    "sharpness": Feature("the mean difference of voxels 2 mm apart", 3, 0.02, SHARE),
    **{f"p{q}": Feature(f"percentile {q} of its brain", 2, 0.08, SHARE) for q in (1, 5, 10, 25, 50, 75)},
    "p95": Feature("percentile 95 of its brain", 2, 0.08, SHARE),
    "p99": Feature("percentile 99 of its brain", 2, 0.2, SHARE),
    "fluid": Feature("the brightness of its fluid", 2, 0.1, SHARE),
    "grey": Feature("the brightness of its grey matter", 2, 0.1, SHARE),
    "white": Feature("the brightness of its white matter", 2, 0.12, SHARE),
    "likeness": Feature("the correlation of its contrast with the mean of known scans", 2, 0.2),
    "overlap": Feature("the overlap of its brain with the mean shape of known brains", 2, 0.05),
}
"""What is compared. There is more room above the volumes of known brains, as masks may hold the fluid around
a brain, and one that is registered to MNI152 has the 1.9 litres of that template. The tissues of two sites
differ by more than those of people do, hence the room beside their brightness. A ball of 60 ml that is
missing makes a gap of some 50 ml, and a brain that lies askew one of up to 27."""
ONLY_LOWER, ONLY_UPPER = ("likeness", "overlap"), ("thickness", "grain", "gap")
TAIL = 0.5
"""How far beyond the range of known scans a number may lie, as a share of the width of that range."""
QUANTILES = (0.02, 0.98)
"""Ends of the range of known scans."""
COMMON = 0.8
"""Least share of known scans that have one order of tissues, if that is to be the order of all."""
ORDER_DISTANCE = 3.0
"""How far, in margins, tissues of another order count as being away."""
KEYS = ("ranges", "means", "cover", "sequence", "scans")
"""What is stored."""


@dataclass(frozen=True)
class KnownScans:
    """Ranges of the scans that a model was trained or calibrated on.

    Args:
        ranges: Lower and upper end of every number, by name.
        means: Mean picture of the scans in the box of their brains, (16, 20, 16), in [0, 1].
        cover: Mean cover of that box, (16, 20, 16), in [0, 1].
        sequence: Order of the tissues in nearly all, as ``TissueContrast.sequence`` names it, or none.
        scans: How many there were.
    """

    ranges: Mapping[str, tuple[float, float]]
    means: Tensor
    cover: Tensor
    sequence: str | None
    scans: int

    @classmethod
    def of(cls, scans: Sequence[ScanFeatures]) -> KnownScans:
        """Summarise healthy scans.

        Raises:
            ValueError: If there is none.
        """
        if not scans:
            raise ValueError("expected healthy scans to learn a domain from, found none")
        weight = torch.stack([s.cover for s in scans])
        total = weight.sum(0)
        means = (torch.stack([s.means for s in scans]) * weight).sum(0) / total.clamp(min=1e-6)
        means, cover = _to_cells(_to_text(means)), _to_cells(_to_text(total / len(scans)))
        rows = [s.numbers | _compare(s, means, cover) for s in scans]
        names = [name for name in FEATURES if all(name in row for row in rows)]
        ranges = {name: _find_range([row[name] for row in rows]) for name in names}
        words = [s.tissues.sequence for s in scans if s.tissues]
        return cls(ranges, means, cover, _find_common(words), len(scans))

    def list_reasons(self, scan: ScanFeatures) -> list[str]:
        """List what lies outside the ranges, in sentences; nothing for a scan like the known ones."""
        numbers = scan.numbers | _compare(scan, self.means, self.cover)
        reasons = [_say(name, numbers[name], *self.ranges[name]) for name in self.ranges if name in numbers]
        return [*self._compare_order(scan), *(reason for reason in reasons if reason)]

    def measure_distance(self, scan: ScanFeatures) -> float:
        r"""Measure how far a scan lies from the known ones; 0 if every number is within its range.

        .. math:: d = \sqrt{\frac{1}{n + 1} \Big(o^2 + \sum_i e_i^2\Big)}, \quad
            e_i = \max(0, l_i - v_i, v_i - h_i) / m_i

        with the numbers :math:`v_i`, their ranges :math:`[l_i, h_i]`, the margins :math:`m_i` beyond which
        ``list_reasons`` names them, and :math:`o = 3` for tissues of another order, else 0.
        """
        numbers = scan.numbers | _compare(scan, self.means, self.cover)
        excess = [
            _find_excess(name, numbers[name], *self.ranges[name]) for name in self.ranges if name in numbers
        ]
        excess.append(ORDER_DISTANCE if self._compare_order(scan) else 0.0)
        return math.sqrt(sum(e**2 for e in excess) / len(excess))

    @property
    def breadth(self) -> float:
        """Mean width of the ranges, each in units of the least distance beyond it that is tolerated."""
        widths = [(high - low) / FEATURES[name].slack for name, (low, high) in self.ranges.items()]
        return sum(widths) / max(1, len(widths))

    def _compare_order(self, scan: ScanFeatures) -> list[str]:
        if scan.tissues is None:
            return ["its brain does not fill the box around it, as if it were a part of a brain or a shell"]
        order = scan.tissues.sequence
        if None in (self.sequence, order) or order == self.sequence:
            return []
        return [f"it looks like {order} by the order of its tissues, and the model knows {self.sequence}"]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "ranges": {name: [round(v, 4) for v in ends] for name, ends in self.ranges.items()},
            "means": _to_text(self.means),
            "cover": _to_text(self.cover),
            "sequence": self.sequence,
            "scans": self.scans,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> KnownScans:
        """Read what ``to_dict`` returned.

        Raises:
            ValueError: If it is no such mapping; the message names the key.
        """
        if not isinstance(values, Mapping) or values.keys() != {
            "ranges",
            "means",
            "cover",
            "sequence",
            "scans",
        }:
            raise ValueError(f"expected a domain with ranges and pictures, found {shorten(repr(values))}")
        ranges = values["ranges"]
        if not isinstance(ranges, Mapping) or not all(map(_is_range, ranges.items())):
            raise ValueError(
                f"expected ranges of known features in domain.ranges, found {shorten(repr(ranges))}"
            )
        means, cover = (_to_cells(values[key], f"domain.{key}") for key in ("means", "cover"))
        ends = {name: (float(low), float(high)) for name, (low, high) in ranges.items()}
        sequence, scans = values["sequence"], values["scans"]
        if not (sequence is None or isinstance(sequence, str)) or not isinstance(scans, int):
            raise ValueError(f"expected a sequence and a number of scans, found {sequence!r} and {scans!r}")
        return cls(ends, means, cover, sequence, scans)


def _compare(scan: ScanFeatures, means: Tensor, cover: Tensor) -> dict[str, float]:
    return {"likeness": correlate(scan, means, cover), "overlap": overlap(scan, cover)}


def _find_common(words: Sequence[str | None]) -> str | None:
    """Return the word of nearly all; none where they differ, as those of several contrasts do."""
    word = max(set(words), key=words.count) if words else None
    return word if words.count(word) >= COMMON * len(words) else None


def _find_range(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(values, QUANTILES)
    return float(low), float(high)


def _find_excess(name: str, value: float, low: float, high: float) -> float:
    """Return how far a number lies beyond its range, in units of what is tolerated."""
    feature = FEATURES[name]
    tail = TAIL * (high - low)
    below = 0.0 if name in ONLY_UPPER else (low - value) / max(feature.slack, tail)
    above = 0.0 if name in ONLY_LOWER else (value - high) / max(feature.above or feature.slack, tail)
    return max(0.0, below, above)


def _say(name: str, value: float, low: float, high: float) -> str | None:
    if _find_excess(name, value, low, high) <= 1:
        return None
    feature = FEATURES[name]
    d = feature.digits
    return (
        f"{feature.text} is {value:.{d}f}{feature.unit}, and that of known scans {low:.{d}f} to {high:.{d}f}"
    )


def _is_range(item: tuple[Any, Any]) -> bool:
    name, ends = item
    if name not in FEATURES or not isinstance(ends, Sequence) or len(ends) != 2:
        return False
    return all(isinstance(v, int | float) and math.isfinite(v) for v in ends) and ends[0] <= ends[1]


def _to_text(x: Tensor) -> str:
    cells = (x.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return base64.b64encode(cells.tobytes()).decode("ascii")


def _to_cells(text: Any, key: str = "picture") -> Tensor:
    size = math.prod(BOX_SHAPE)
    if not isinstance(text, str) or len(text) != 4 * math.ceil(size / 3):
        raise ValueError(f"expected {size} bytes in base64 as {key}, found {shorten(repr(text))}")
    try:
        cells = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
        return torch.from_numpy(cells.reshape(BOX_SHAPE).astype(np.float32) / 255)
    except ValueError as error:
        raise ValueError(f"expected {size} bytes in base64 as {key}, found {shorten(repr(text))}") from error
