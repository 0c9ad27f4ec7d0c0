"""The slices below and above a slice, as more channels of what a network sees."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from diffad.denoise import takes_neighbours


def join_neighbours(x_t: Tensor, neighbours: Tensor | None, count: int, name: str) -> Tensor:
    """Put the neighbours of each slice after its state.

    Args:
        x_t: States, (B, C, H, W).
        neighbours: Slices below and above each, noised alike, (B, 2 N C, H, W); none for a network without.
        count: Slices N on either side that the network was built for.
        name: What messages call the network.

    Returns:
        States and neighbours, (B, (1 + 2 N) C, H, W).

    Raises:
        ValueError: If there are neighbours and the network takes none, or other ones than it was built for.
    """
    if not count:
        if neighbours is not None:
            raise ValueError(f"{name} expected no neighbours, as it was built with neighbours = 0, got some")
        return x_t
    shape = (len(x_t), 2 * count * x_t.shape[1], *x_t.shape[2:])
    if neighbours is None or tuple(neighbours.shape) != shape:
        found = "none" if neighbours is None else tuple(neighbours.shape)
        raise ValueError(
            f"{name} expected the neighbours {shape} of the slices beside the state, got {found}"
        )
    return torch.cat([x_t, neighbours.to(x_t)], 1)


def check_neighbours(network: Any, count: int) -> None:
    """Refuse a network that was built for other neighbours than its space has.

    Raises:
        ValueError: With both numbers.
    """
    if (number := takes_neighbours(network)) != count:
        raise ValueError(
            f"expected a network that is shown space.neighbours = {count} slice(s) below and above, got one "
            f"that is shown {number}; give the network (unet2d) the option neighbours = {count}"
        )


def pass_given(**conditions: Tensor | None) -> dict[str, Any]:
    """Return the conditions that there are as a backbone takes them; many know no places or neighbours."""
    return {name: value for name, value in conditions.items() if value is not None}
