"""The section of a config about what is done to a map, and how masks are cut from it."""

from __future__ import annotations

from dataclasses import dataclass

from diffad.config.schema import check_choice, check_range, expect


@dataclass(frozen=True)
class PostprocessConfig:
    """How a raw map becomes the final one, a mask and a score.

    Args:
        erosion: Layers peeled off the brain mask, in pixels of the model's grid.
        median: Odd width of the median window, in pixels of the model's grid.
        min_size: Smallest detection that is kept, in voxels of the scan.
        min_mm3: Smallest detection that is kept, in mm3, whatever the voxels of the scan; in voxels where
            nobody says how large these are. Papers count voxels of a grid that scans are brought to before.
        erosion_rule: "cross" peels layer by layer; "average" takes the erosion for a radius, and keeps pixels
            whose square neighbourhood is more than 95 % brain.
        median_first: Smooth before the outside of the eroded mask is zeroed; off smooths after it.
        filled: Count the holes of a detection to its size.
        median_axes: 2 smooths each slice, 3 the stack of the slices of a scan, whatever their distance.
        across: SD, in mm, of a Gaussian that smooths the map of a scan across its slices, before it is put in
            units of healthy scans; 0 leaves it.
        morphology: Odd width of the square by which a smooth map is eroded, opened and closed, in pixels of
            the model's grid; 1 leaves it.
        pool: How a map becomes one score: "mean", "max" or "topk".
        share: Share of the brain that "topk" averages.
        fpr: Calibrated pixel false-positive rate whose threshold makes the mask.
        normalise: "place" puts maps of volumes in units of the spread of healthy scans at the same place,
            which calibration measures, see ``diffad.inference.healthy``; "none" leaves them.
        clusters: Detections that are dropped from masks at a calibrated threshold, by volume: "few" drops
            those of volumes of which 95 % of healthy heads have at most three above, "clean" those of which
            they have none, "none" drops nothing. See ``diffad.threshold.clusters``.
    """

    erosion: int = 0
    median: int = 5
    min_size: int = 0
    erosion_rule: str = "cross"
    median_first: bool = True
    filled: bool = False
    median_axes: int = 2
    across: float = 0.0
    morphology: int = 1
    min_mm3: float = 0.0
    pool: str = "topk"
    share: float = 0.01
    fpr: float = 0.01
    normalise: str = "none"
    clusters: str = "few"

    def __post_init__(self) -> None:
        check_range(self, "postprocess", "[0, 256]", "erosion")
        check_range(self, "postprocess", "[0, 100]", "across")
        check_range(self, "postprocess", "[0, 1000000000]", "min_size", "min_mm3")
        for name in ("median", "morphology"):
            width = getattr(self, name)
            check_range(self, "postprocess", "[1, 501]", name)
            expect(width % 2 == 1, f"postprocess.{name}", "an odd width", width)
        expect(self.median_axes in (2, 3), "postprocess.median_axes", "2 or 3", self.median_axes)
        check_choice(self, "postprocess", "erosion_rule", "cross", "average")
        check_choice(self, "postprocess", "pool", "mean", "max", "topk")
        check_choice(self, "postprocess", "normalise", "none", "place")
        check_choice(self, "postprocess", "clusters", "few", "clean", "none")
        check_range(self, "postprocess", "(0, 1]", "share")
        check_range(self, "postprocess", "[0, 1)", "fpr")
