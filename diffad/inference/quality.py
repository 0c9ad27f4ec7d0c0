"""Whether a scan is good enough to be judged: motion, noise, blur, what is cut off, mask and registration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from diffad.data.volume import Array
from diffad.inference.ghosting import measure_detail, measure_ghosting, take_detail
from diffad.inference.mask_quality import measure_mask
from diffad.inference.placing import measure_template_overlap
from diffad.inference.scan import ScanSource

NOISE_QUARTILE = 0.780
r"""Lower quartile of the absolute second difference of white noise of SD 1, :math:`0.3186 \sqrt 6`."""


@dataclass(frozen=True)
class QualityLimit:
    """A measure of a scan, how it is said, and what is still good.

    Args:
        flag: What a scan that fails is said to have.
        text: What is measured, for a sentence.
        lowest: Least good value; none without one.
        highest: Largest good value; none without one.
        digits: Decimals in the sentence.
        unit: Unit, with the space before it.
    """

    flag: str
    text: str
    lowest: float | None = None
    highest: float | None = None
    digits: int = 2
    unit: str = ""

    def describe(self, value: float) -> str | None:
        """Say what of a value is not good; none of a good one."""
        is_low = self.lowest is not None and value < self.lowest
        is_high = self.highest is not None and value > self.highest
        if not (is_low or is_high):
            return None
        bound, word = (self.lowest, "at least") if is_low else (self.highest, "at most")
        n, unit = self.digits, self.unit
        usual = f"{word} {bound:.{n}f}{unit}"
        return f"{self.flag}: {self.text} is {value:.{n}f}{unit}, and that of good scans {usual}"


LEAST_ML = 100.0
"""Least volume of what is measured; less is no brain of a person, and there are too few voxels to tell."""
LEAST_CELLS = 2000
"""Least number of cells without the rim of the brain that detail is measured in."""
SHARE = " of the bright end of the brain"
LIMITS = {
    "ghosting": QualityLimit("motion", "the likeness of fine detail to itself elsewhere", highest=0.13),
    "noise": QualityLimit("noise", "the SD of the noise", highest=0.09, digits=3, unit=SHARE),
    "detail": QualityLimit("blur", "the median change over 2 mm", lowest=0.012, digits=3, unit=SHARE),
    "flat_cm2": QualityLimit(
        "cut off", "the largest flat end of the brain", highest=55, digits=0, unit=" cm2"
    ),
    "brain_ml": QualityLimit("brain mask", "the volume of the brain", 600, 2300, 0, " ml"),
    "loose": QualityLimit("brain mask", "the share of the mask beside its largest piece", highest=0.02),
    "roughness": QualityLimit(
        "brain mask", "the surface of the mask over its volume^(2/3)", highest=12, digits=1
    ),
    "overlap": QualityLimit("registration", "the Dice overlap with the template", lowest=0.8),
}
"""What is measured; docs/guide/quality.md has the ranges of healthy and of degraded scans."""
THIN_MM, PER_MM, MOST_GHOSTING = 4.0, 0.01, 0.15
"""Thickness from which the limit of ghosting rises, by how much a mm, and up to where: thick slices leave
fewer cells, which are more alike by chance."""


def adapt_limit(key: str, numbers: Mapping[str, float]) -> QualityLimit:
    """Return what is still good of a measure, in a scan of such slices.

    Args:
        key: A key of ``LIMITS``.
        numbers: What was measured; "thickest_mm" is the largest edge of a voxel.
    """
    limit, excess = LIMITS[key], numbers.get("thickest_mm", 0.0) - THIN_MM
    if key != "ghosting" or limit.highest is None or excess <= 0:
        return limit
    return replace(limit, highest=min(MOST_GHOSTING, limit.highest + PER_MM * excess))


def measure_scan_quality(source: ScanSource, intensity: str = "percentile") -> dict[str, float]:
    """Measure how good a scan is; nothing of what is no volume.

    Args:
        source: The scan and its brain mask.
        intensity: "percentile", or "ct", of which only the mask is measured.
    """
    volume, brain = source.volume, source.brain[0, 0].numpy()
    if volume is None or min(brain.shape) == 1:
        return {}
    numbers = measure_mask(brain, volume.spacing.tolist()) if brain.any() else {}
    if numbers.get("brain_ml", 0.0) < LEAST_ML:
        return {}
    overlap = measure_template_overlap(brain, volume)
    numbers |= {} if overlap is None else {"overlap": overlap}
    for channel, image in enumerate(volume.data if intensity != "ct" else ()):
        own = _measure_image(image, brain, source, channel)
        numbers |= {key: _take_worse(key, value, numbers.get(key)) for key, value in own.items()}
    thickness = {"thickest_mm": float(volume.spacing.max())} if "ghosting" in numbers else {}
    return numbers | thickness


def _measure_image(image: Array, brain: Array, source: ScanSource, channel: int) -> dict[str, float]:
    """Measure one sequence; nothing of a brain that is dark throughout."""
    try:
        grain = source.features[channel].numbers["grain"]
    except ValueError:
        return {}
    assert source.volume is not None
    numbers = {"noise": grain / NOISE_QUARTILE}
    detail, inside, edges = take_detail(image, brain, source.volume.spacing.tolist())
    if inside.sum() < LEAST_CELLS:
        return numbers
    ghosting, change = measure_ghosting(detail, inside, edges), measure_detail(detail, inside, edges)
    return numbers | {"ghosting": ghosting, "detail": change}


def _take_worse(key: str, value: float, other: float | None) -> float:
    if other is None:
        return value
    return max(value, other) if LIMITS[key].highest is not None else min(value, other)


@dataclass(frozen=True)
class ScanQuality:
    """How good a scan is.

    Args:
        numbers: What was measured, by name, see ``LIMITS``, and "thickest_mm"; empty of what is no volume.
    """

    numbers: Mapping[str, float]

    @property
    def flags(self) -> list[str]:
        """What the scan has, in a word each: "motion", "noise"; nothing of a good one."""
        failed = [limit.flag for key, limit in LIMITS.items() if self._describe(key)]
        return list(dict.fromkeys(failed))

    def list_warnings(self) -> list[str]:
        """Say what is not good, in a sentence each, with the number and its limit."""
        return [f"poor scan, {text}" for key in LIMITS if (text := self._describe(key))]

    def to_info(self) -> dict[str, Any]:
        """Return what is stored with the result."""
        status = "unknown" if not self.numbers else "poor" if self.flags else "good"
        rounded = {key: round(value, 4) for key, value in self.numbers.items()}
        return {"quality": {"status": status, "flags": self.flags, "measures": rounded}}

    def _describe(self, key: str) -> str | None:
        limit = adapt_limit(key, self.numbers)
        return limit.describe(self.numbers[key]) if key in self.numbers else None
