"""From raw slices to the space of the network, grid and intensity together, and back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diffad.config import SpaceConfig
from diffad.data.grid import SquareGrid
from diffad.data.hounsfield import check_brain_units
from diffad.data.intensity import IntensityWindow, make_ct_window, make_percentile_window, normalise
from diffad.data.neighbours import NeighbourSlices, gather_neighbours
from diffad.types import Reconstruction


@dataclass(frozen=True)
class Placement:
    """How raw slices were placed in the grid of the model: all that the way back needs.

    Args:
        window: Intensities that became 0 and 1, per channel.
        shape: Raw shape (H, W), or (I, J, K) of a whole volume.
        spacing: Raw pixel size (row, column) in mm, or none.
        centre: Raw position (row, column) at the centre of the grid, or none for the middle.
    """

    window: IntensityWindow
    shape: tuple[int, ...]
    spacing: tuple[float, float] | None
    centre: tuple[float, float] | None


class Space:
    """Brings slices into the space that a network was trained in.

    Args:
        config: Grid and intensity rules, stored with the model.
    """

    def __init__(self, config: SpaceConfig) -> None:
        self.config = config
        self.grid = SquareGrid(size=config.size, fov=config.fov)

    @property
    def whole(self) -> bool:
        """Whether the network takes whole volumes rather than slices."""
        return self.config.axis == "volume"

    def window(self, x: Tensor, mask: Tensor) -> IntensityWindow:
        """Find the intensity window of one scan ``x`` (C, *S) inside its ``mask`` (1, *S).

        Of a volume all of it is to be given, so that the window does not depend on the choice of slices.

        Raises:
            VolumeError: If a CT is not in Hounsfield units, or an MRI has no usable range.
        """
        c = self.config
        if c.intensity == "ct":
            window = make_ct_window(c.centre, c.width, channels=x.shape[0])
            for channel, *bounds in zip(x, window.lower, window.upper, strict=True):
                check_brain_units(channel.cpu().numpy(), mask[0].cpu().numpy() > 0, (bounds[0], bounds[1]))
            return window
        return make_percentile_window(x, mask, low=c.low, high=c.high, headroom=c.headroom)

    def place(
        self,
        x: Tensor,
        mask: Tensor,
        spacing: tuple[float, float] | None = None,
        centre: tuple[float, float] | None = None,
        window: IntensityWindow | None = None,
    ) -> tuple[Tensor, Tensor, Placement]:
        """Bring the slices of one scan, or a whole volume, into the space of the model.

        Args:
            x: Raw slices of one scan, (N, C, H, W), or a volume (1, C, I, J, K) where the axis is "volume".
            mask: Brain mask, (N, 1, *S), bool.
            spacing: Pixel size (row, column) in mm, where known.
            centre: Raw position (row, column) for the centre of the grid; none for the middle of the slice.
            window: Intensity window of the scan; none finds it in these slices.

        Returns:
            Slices in [0, 1] (N, C, size, size), masks (N, 1, size, size) in {0, 1}, and the placement.
        """
        window = window or self.window(x.transpose(0, 1), mask.transpose(0, 1))
        placement = Placement(window, tuple(x.shape[2:]), spacing, centre)
        image, brain = normalise(x, mask, window, channel_axis=1), mask.to(x.dtype)
        if not self.whole:
            image = self.grid.to(image, spacing=spacing, centre=centre).clamp(0, 1)
            brain = (self.grid.to(brain, spacing=spacing, centre=centre) > 0.5).to(x.dtype)
        return image * brain, brain, placement

    def place_further(self, neighbours: NeighbourSlices, placement: Placement) -> Tensor:
        """Bring slices that are only neighbours into the space of the model, (M, C, size, size)."""
        if not len(neighbours.image):
            return neighbours.image.new_zeros(
                0, neighbours.image.shape[1], self.config.size, self.config.size
            )
        where = (placement.spacing, placement.centre, placement.window)
        return self.place(neighbours.image, neighbours.brain, *where)[0]

    def place_neighbours(
        self, x: Tensor, brain: Tensor, neighbours: NeighbourSlices | None, placement: Placement
    ) -> Tensor:
        """Bring the neighbours of slices into the space of the model.

        Args:
            x: The slices in that space, (N, C, *S).
            brain: Their brain masks, (N, 1, *S).
            neighbours: Which slices are neighbours of which, or none.
            placement: How the slices were placed.

        Returns:
            Slices below and above each, (N, 2 N' C, *S); without channels where there are none.
        """
        if neighbours is None:
            return x.new_zeros(len(x), 0, *x.shape[2:])
        slices = torch.cat([x, self.place_further(neighbours, placement)])
        return gather_neighbours(slices, neighbours.rows, brain)

    def back(self, y: Tensor, placement: Placement) -> Tensor:
        """Bring maps or images (N, C, size, size) back to the grid of the raw slices, (N, C, H, W)."""
        if self.whole:
            return y
        return self.grid.back(y, placement.shape, spacing=placement.spacing, centre=placement.centre)


def to_model(x: Tensor) -> Tensor:
    """Map [0, 1] to the model range [-1, 1]."""
    return x * 2 - 1


def to_public(x: Tensor) -> Tensor:
    """Map the model range [-1, 1] to [0, 1]."""
    return torch.clamp((x + 1) / 2, 0, 1)


def reconstruction_to_public(reconstruction: Reconstruction) -> Reconstruction:
    """Bring a reconstruction, its spread and its reference from the model range to [0, 1]."""
    std = None if reconstruction.std is None else reconstruction.std / 2
    reference = None if reconstruction.reference is None else to_public(reconstruction.reference)
    return replace(reconstruction, image=to_public(reconstruction.image), std=std, reference=reference)
