"""The section of a config about the grid and the intensities that a model sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from diffad.config.choices import AXES
from diffad.config.schema import check_choice, check_range, expect

CODES = ("pixels", "latent", "haar")
"""What a network may see of an image."""


@dataclass(frozen=True)
class SpaceConfig:
    """The space the network works in.

    Args:
        size: Side of the square grid of slices, in pixels.
        fov: Side of the square in mm; none makes the longer side of a slice the square's.
        window: Rows and columns around the brain that the network looks at, in pixels of the grid; none for
            all. A brain that does not fit is looked at in the whole grid.
        axis: Plane of the slices, "axial", "coronal" or "sagittal"; "volume" for 3-D networks.
        further_axes: More planes whose slices the network is trained on; it should be told their places then,
            and the size must suit all of them.
        further_windows: Windows of these planes, in their order, as a brain is longest from front to back:
            rows of an axial slice, columns of a sagittal one. None where they have that of the axis.
        neighbours: Slices below and above each slice that a 2-D network is shown beside it, see
            ``diffad.data.neighbours``; its option of the same name must agree.
        code: What the network sees of an image: its "pixels"; its "latent" code, see ``networks.codec``; or
            its "haar" wavelets.
        intensity: "percentile" (MRI) or "ct" (window in HU).
        low: Percentile inside the mask that becomes 0; none keeps the zero of the scan.
        high: Percentile inside the mask that becomes 1 - headroom.
        headroom: Share of the range kept for what is brighter than healthy tissue.
        centre: Centre of the CT window, in HU.
        width: Width of the CT window, in HU.
    """

    size: int = 128
    fov: float | None = None
    window: tuple[int, int] | None = None
    axis: str = "axial"
    further_axes: tuple[str, ...] = ()
    further_windows: tuple[tuple[int, int], ...] = ()
    neighbours: int = 0
    code: str = "pixels"
    intensity: str = "percentile"
    low: float | None = None
    high: float = 99.0
    headroom: float = 0.15
    centre: float = 40.0
    width: float = 80.0

    def __post_init__(self) -> None:
        check_range(self, "space", "[1, 4096]", "size")
        check_range(self, "space", "(0, 100000]", "fov", "width")
        check_choice(self, "space", "axis", *AXES, "volume")
        others = [axis for axis in AXES if axis != self.axis] if self.axis != "volume" else []
        planes = set(self.further_axes)
        suits = planes <= set(others) and len(planes) == len(self.further_axes)
        expect(suits, "space.further_axes", f"some of {others}, each once", list(self.further_axes))
        check_range(self, "space", "[0, 8]", "neighbours")
        is_flat = self.axis != "volume" or not self.neighbours
        expect(is_flat, "space.neighbours", "0 with space.axis=volume", self.neighbours)
        check_choice(self, "space", "code", *CODES)
        check_choice(self, "space", "intensity", "percentile", "ct")
        check_range(self, "space", "[0, 100]", "low", "high")
        expect((self.low or 0) < self.high, "space.high", f"more than space.low = {self.low}", self.high)
        check_range(self, "space", "[0, 1)", "headroom")
        check_range(self, "space", "[-100000, 100000]", "centre")
        self._check_windows()

    def _check_windows(self) -> None:
        is_flat, sizes = self.axis != "volume", f"slices, and sizes in 1..space.size = {self.size}"
        for key, window in (("window", self.window), *(("further_windows", w) for w in self.further_windows)):
            fits = window is None or (is_flat and 0 < min(window) <= max(window) <= self.size)
            expect(fits, f"space.{key}", sizes, window)
        count = len(self.further_windows)
        suits = not count or (self.window is not None and count == len(self.further_axes))
        further = f"a space.window, and one for each of space.further_axes = {list(self.further_axes)}"
        expect(suits, "space.further_windows", further, [list(w) for w in self.further_windows])

    @property
    def axes(self) -> tuple[str, ...]:
        """All planes that the network is trained on, its own first."""
        return (self.axis, *self.further_axes)

    def as_volume(self) -> SpaceConfig:
        """Return the same intensities for whole volumes."""
        flat_options: dict[str, Any] = {
            "window": None,
            "further_axes": (),
            "further_windows": (),
            "neighbours": 0,
        }
        return replace(self, axis="volume", **flat_options)

    def window_of(self, orientation: int) -> tuple[int, int] | None:
        """Return the window of slices of a plane: 0 sagittal, 1 coronal, 2 axial, else that of the axis."""
        axis = AXES[orientation] if 0 <= orientation < len(AXES) else self.axis
        windows = dict(zip(self.further_axes, self.further_windows, strict=False))
        return windows.get(axis, self.window)
