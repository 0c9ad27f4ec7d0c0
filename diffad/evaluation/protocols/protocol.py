"""Every choice of an evaluation that papers leave unsaid, in one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from diffad.inference.median_filter import BORDERS
from diffad.inference.postprocess import RULES
from diffad.registry import unknown_name

CHOICES: dict[str, tuple[str, ...]] = {
    "where": ("all", "brain"),
    "erosion_rule": RULES,
    "median_border": BORDERS,
    "comparison": (">", ">="),
    "pool": ("mean", "max", "std", "percentile", "topk", "model"),
    "pool_where": ("all", "brain"),
    "pool_map": ("raw", "processed"),
    "aggregate": ("pooled", "volume", "image"),
    "pixel_samples": ("all", "anomalous"),
    "threshold": (
        *("oracle", "order", "grid", "bisection", "f1", "mean_dice"),
        *("healthy", "healthy_grid", "fixed", "stored"),
    ),
    "tuned_on": ("test", "tuning"),
    "dice_aggregate": ("volume", "image", "subject"),
    "dice_of": ("all", "anomalous"),
}


@dataclass(frozen=True)
class Protocol:
    """How maps become metrics; the defaults change nothing and leave nothing out.

    Args:
        name: What it is called.
        summary: One sentence for who reads the report.
        source: Paper it follows.
        size: Resolution (H, W) of maps (bilinear) and masks (nearest); none keeps the map's own.
        slices: Whether each slice of a volume is an image of its own.
        where: Pixels that count, "all" or "brain".
        masked: Whether the map is zeroed outside the eroded brain.
        erosion: Layers peeled off the brain in each slice, in pixels.
        erosion_per: Peel width // ``erosion_per`` layers instead; 0 takes ``erosion``.
        erosion_rule: "cross" peels layers, "average" wants most of the neighbourhood inside.
        median: Width of the median window, in pixels, odd, or even in volumes with "reflect", where the
            window begins half its width before the voxel; 1 smooths nothing.
        median_axes: 2 smooths each slice, 3 the volume.
        median_border: What lies beyond the image: "mirror" leaves the edge pixel out, "reflect" repeats it.
        sigma: Width of a Gaussian blur of each slice, in pixels; 0 blurs nothing.
        min_size: Smallest detection that is kept, in voxels.
        filled: Count the holes of a detection to its size.
        comparison: A pixel is detected if its score is ">" or ">=" the threshold.
        pool: What the map is pooled to for the image score; "model" takes the score the model gave.
        pool_where: Pixels that are pooled, "all" or those of the whole "brain", eroded or not.
        pool_map: Which map is pooled: the "raw" one, or the one "processed" by mask, blur and median.
        share: Share of the pixels "topk" averages, in (0, 1].
        percentile: Percentile that "percentile" takes, in [0, 100].
        aggregate: Pixel metrics over "pooled" pixels, or the mean of those of each "volume" or "image".
        pixel_samples: Samples whose pixels count, "all" or the "anomalous".
        least_lesion: Anomalous images with fewer lesion pixels are left out.
        strata: Bounds of lesion size in pixels, for metrics by size; none for none.
        threshold: Rule that chooses the threshold.
        tuned_on: What the rule looks at, the "test" set itself or "tuning" samples of others.
        steps: Order statistics or halvings of the rules "order", "mean_dice" and "bisection".
        grid: First, last and number of the thresholds of the rules with a grid.
        fpr: Share of healthy pixels the rules for healthy scans let be flagged, in (0, 1).
        fixed: Threshold of the rule "fixed".
        dice_aggregate: What the mean Dice is a mean over: "volume", "image" or "subject".
        dice_of: Whose Dice is averaged, "all" or the "anomalous".
        empty: Dice where detection and truth are empty; none leaves it out.
        aupro_limit: False positive rate up to which AUPRO integrates, in (0, 1].
        regions: Whether single lesions and surfaces are scored, and AUPRO, which is an overlap by region.
        tolerance_mm: Distance at which surfaces still agree, in mm.
        intervals: Whether metrics get confidence intervals.

    Raises:
        UnknownNameError: If a choice is none of those above.
        ValueError: If a number is out of range.
    """

    name: str
    summary: str = ""
    source: str = ""
    size: tuple[int, int] | None = None
    slices: bool = False
    where: str = "brain"
    masked: bool = False
    erosion: int = 0
    erosion_per: int = 0
    erosion_rule: str = "cross"
    median: int = 1
    median_axes: int = 2
    median_border: str = "mirror"
    sigma: float = 0.0
    min_size: int = 0
    filled: bool = False
    comparison: str = ">"
    pool: str = "mean"
    pool_where: str = "brain"
    pool_map: str = "raw"
    share: float = 0.01
    percentile: float = 98.0
    aggregate: str = "pooled"
    pixel_samples: str = "all"
    least_lesion: int = 0
    strata: tuple[int, ...] = ()
    threshold: str = "oracle"
    tuned_on: str = "test"
    steps: int = 200
    grid: tuple[float, float, int] = (0.0, 1.0, 101)
    fpr: float = 0.01
    fixed: float = 0.5
    dice_aggregate: str = "volume"
    dice_of: str = "all"
    empty: float | None = None
    aupro_limit: float = 0.3
    regions: bool = True
    tolerance_mm: float = 1.0
    intervals: bool = True

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise unknown_name(
                    f"{name} of protocol {self.name!r}:", str(getattr(self, name)), list(choices)
                )
        self._check("median_axes", "2 or 3", self.median_axes in (2, 3))
        odd = self.median > 0 and self.median % 2 == 1
        even = self.median > 0 and (self.median_axes, self.median_border) == (3, "reflect")
        self._check("median", "an odd whole number, or any in volumes with a repeated edge", odd or even)
        self._check("sigma", "at least 0", self.sigma >= 0)
        self._check("erosion", "at least 0", self.erosion >= 0)
        self._check("steps", "at least 1", self.steps >= 1)
        self._check("fpr", "a number in (0, 1)", 0 < self.fpr < 1)
        self._check("aupro_limit", "a number in (0, 1]", 0 < self.aupro_limit <= 1)
        self._check(
            "size",
            "two positive numbers",
            self.size is None or (len(self.size), min(self.size) > 0) == (2, True),
        )
        self._check(
            "grid",
            "first <= last, and a number of steps",
            len(self.grid) == 3 and self.grid[0] <= self.grid[1],
        )

    def _check(self, name: str, demand: str, ok: bool) -> None:
        if not ok:
            raise ValueError(f"protocol {self.name!r}: expected {name} {demand}, got {getattr(self, name)!r}")

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Protocol:
        """Build a protocol from plain values.

        Raises:
            UnknownNameError: If it has no such option.
            ValueError: If a number is out of range.
        """
        names = [f.name for f in fields(cls)]
        for option in options:
            if option not in names:
                raise unknown_name(f"option of protocol {options.get('name')!r}:", option, names)
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
        return cls(**plain)

    def to_dict(self) -> dict[str, Any]:
        """Give every choice in plain values, as ``from_options`` reads them."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    @property
    def needs_axis(self) -> bool:
        """Whether something is done to each slice of a volume."""
        flat_median = self.median > 1 and self.median_axes == 2
        by_image = "image" in (self.aggregate, self.dice_aggregate)
        return bool(self.size or self.slices or self.sigma or self.masked or flat_median or by_image)
