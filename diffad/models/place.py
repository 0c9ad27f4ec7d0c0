"""Where in the brain a slice lies, as a vector that a network adds to its time embedding."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WAVES = 6
"""Frequencies of the position: the finest has a period of a sixteenth of the brain."""
ORIENTATIONS = 3
WIDTH = ORIENTATIONS + 1 + 2 * WAVES
"""Length of the vector of a place: its orientation, or that it has none, and the waves of its position."""
LAYERS = "place_layers"
"""What networks call the layers; weights without them may be loaded, as they change nothing at first."""


def make_place_layers(out: int) -> nn.Sequential:
    r"""Return the layers between the place of a slice and the time embedding; at first they answer 0.

    .. math:: e = W_2 \, \mathrm{SiLU}(W_1 [o, \sin(2^k \pi p), \cos(2^k \pi p)] + b_1) + b_2, \quad
              W_2 = 0,\; b_2 = 0

    so that a network that was trained without places answers as before.

    Args:
        out: Length of the time embedding.
    """
    last = nn.Linear(out, out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(WIDTH, out), nn.SiLU(), last)


def encode_places(place: Tensor | None, batch: int, like: Tensor) -> Tensor:
    """Return the vectors (B, WIDTH) of places (B, 2); none are unknown, and so is an orientation of -1.

    Args:
        place: Orientation and position of each slice, or none.
        batch: Items B.
        like: Whose type and device the vectors have.

    Raises:
        ValueError: If the places are not (B, 2), or one is out of its range.
    """
    table = like.new_tensor([[-1.0, 0.0]]).expand(batch, 2).float() if place is None else place.float()
    _check_places(table, batch)
    table = table.to(like.device)
    has_place = table[:, :1] >= 0
    orientation = torch.where(has_place[:, 0], table[:, 0], ORIENTATIONS).long()
    angles = math.pi * table[:, 1:] * 2.0 ** torch.arange(WAVES, device=like.device)
    waves = torch.cat([angles.sin(), angles.cos()], 1) * has_place
    return torch.cat([F.one_hot(orientation, ORIENTATIONS + 1), waves], 1).to(like)


def drop_places(place: Tensor | None, chance: float) -> Tensor | None:
    """Forget some of the places (B, 2), so that the network works without; as dropout, from torch itself."""
    if place is None or not chance:
        return place
    keep = torch.rand(len(place)) >= chance
    return torch.where(keep.to(place.device)[:, None], place, place.new_tensor([-1.0, 0.0]))


def _check_places(place: Tensor, batch: int) -> None:
    if tuple(place.shape) != (batch, 2):
        raise ValueError(f"expected places ({batch}, 2), got {tuple(place.shape)}")
    orientation, position = place.unbind(1)
    if not (torch.isin(orientation, orientation.new_tensor([-1, 0, 1, 2])).all()):
        raise ValueError(f"expected orientations -1, 0, 1 or 2, got {orientation.tolist()}")
    if not ((position >= 0) & (position <= 1)).all():
        raise ValueError(f"expected positions in [0, 1], got {position.tolist()}")
