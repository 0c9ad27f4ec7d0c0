"""What networks that halve a scan some times ask of their options and of a scan."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from diffad.models.padding import check_input


def check_halvings(in_channels: int, channels: Sequence[int], dims: int, name: str) -> None:
    """Refuse options of no network.

    Raises:
        ValueError: If there are fewer than two scales, other axes than 2 or 3, or a width below 1.
    """
    if dims not in (2, 3) or len(channels) < 2 or min(in_channels, *channels) < 1:
        raise ValueError(
            f"{name} expected dims of 2 or 3, and at least two channels of at least 1, "
            f"got {dims} and {list(channels)} for scans of {in_channels}"
        )


def check_halved_scan(x: Tensor, in_channels: int, channels: Sequence[int], dims: int, name: str) -> None:
    """Refuse scans that the network was not built for; its coarsest grid must have two cells along each axis.

    Raises:
        ValueError: If ``x`` has other axes or channels, or a side is too short.
    """
    check_input(x, in_channels, dims, name)
    shortest = 2 ** (len(channels) - 1) + 1
    if min(x.shape[2:]) < shortest:
        raise ValueError(
            f"{name} expected sides of at least {shortest} voxels for {len(channels)} scales, "
            f"got {tuple(x.shape[2:])}"
        )
