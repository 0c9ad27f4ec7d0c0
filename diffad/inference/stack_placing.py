"""Stacks brought to the network's space, and what became of them brought back to the grid of their scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffad.data.space import Placement, Space
from diffad.data.volume import VolumeError
from diffad.inference.stack import Stack, StackResult


@dataclass(frozen=True)
class PlacedStack:
    """A stack in the network's space.

    Args:
        stack: As it was cut from the scan.
        image: Images in [0, 1], (N, C, *S).
        brain: Brain masks, (N, 1, *S).
        neighbours: Slices below and above each, (N, 2 N' C, *S).
        placement: How they were brought there.
    """

    stack: Stack
    image: Tensor
    brain: Tensor
    neighbours: Tensor
    placement: Placement

    def lay_back(self, space: Space, part: tuple[Tensor, Tensor, Tensor | None], nfe: int) -> StackResult:
        """Bring map and change to the scan's grid; the scan keeps its detail under the change.

        Args:
            space: The network's space.
            part: Anomaly map (N, 1, *S), change and spread of the reconstruction (N, C, *S).
            nfe: Network evaluations per image.
        """
        (anomaly, change, std), placement, stack = part, self.placement, self.stack
        anomaly = space.back(anomaly, placement) * stack.brain
        bounds = zip(placement.window.lower, placement.window.upper, strict=True)
        scale = change.new_tensor([high - low for low, high in bounds]).reshape(-1, *[1] * (change.ndim - 2))
        reconstruction = stack.image + space.back(change * scale, placement) * stack.brain
        spread = None if std is None else space.back(std * scale, placement) * stack.brain
        return StackResult(anomaly, reconstruction, nfe, spread)


def place_stack(stack: Stack, space: Space) -> PlacedStack:
    """Bring a stack to the network's space.

    Raises:
        VolumeError: If its intensities cannot be used; the scan is named.
    """
    try:
        image, brain, placement = space.place(
            stack.image, stack.brain, stack.spacing, stack.centre, stack.window
        )
    except ValueError as error:  # parts below know no names
        raise VolumeError(f"{stack.name}: {error}") from error
    neighbours = space.place_neighbours(image, brain, stack.neighbours, placement)
    return PlacedStack(stack, image, brain, neighbours, placement)


def place_regions(stacks: Sequence[Stack], space: Space) -> Tensor | None:
    """Bring the regions of stacks, one after the other, to the network's space; none where there is none.

    Raises:
        ValueError: If some of the stacks have one.
    """
    regions = [s.region for s in stacks if s.region is not None]
    if not regions:
        return None
    if len(regions) < len(stacks):
        raise ValueError("expected a region for every scan of a batch, or for none")
    if space.whole:
        return torch.cat(regions).float()
    pairs, to = zip(regions, stacks, strict=True), space.grid.to
    return torch.cat([to(r.float(), spacing=s.spacing, centre=s.centre) for r, s in pairs]).clamp(0, 1)
