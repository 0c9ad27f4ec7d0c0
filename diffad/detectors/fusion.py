"""Operations that make one field of features of several, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffad.detectors.dense import CONVOLUTION, NORM


class SumFusion(nn.Module):
    """Adds all fields.

    Args:
        count: Fields N.
        width: Channels C of each.
        dims: Spatial axes, 2 or 3.
    """

    def __init__(self, count: int, width: int, dims: int) -> None:
        super().__init__()

    def forward(self, fields: Sequence[Tensor]) -> Tensor:
        """Return the sum (B, C, *S) of N fields of that shape."""
        return torch.stack(list(fields)).sum(0)


class MixtureFusion(nn.Module):
    r"""Takes a learned mean, the relaxed choice of an input.

    .. math:: f = \sum_i \operatorname{softmax}(\alpha)_i f_i

    Args:
        count: Fields N.
        width: Channels C of each.
        dims: Spatial axes, 2 or 3.
    """

    def __init__(self, count: int, width: int, dims: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(count))

    def forward(self, fields: Sequence[Tensor]) -> Tensor:
        """Return the mean (B, C, *S) of N fields of that shape."""
        return torch.einsum("n,n...->...", self.alpha.softmax(0), torch.stack(list(fields)))


class ConcatFusion(nn.Module):
    """Mixes the channels of all fields, with normalisation and ReLU.

    Args:
        count: Fields N.
        width: Channels C of each.
        dims: Spatial axes, 2 or 3.
    """

    def __init__(self, count: int, width: int, dims: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            CONVOLUTION[dims](count * width, width, 1, bias=False), NORM[dims](width), nn.ReLU()
        )

    def forward(self, fields: Sequence[Tensor]) -> Tensor:
        """Return the mixture (B, C, *S) of N fields of that shape."""
        mixture: Tensor = self.layers(torch.cat(list(fields), 1))
        return mixture


class GatedFusion(nn.Module):
    """Mixes the channels of all fields, and lets a second mixture say how much of each passes.

    Args:
        count: Fields N.
        width: Channels C of each.
        dims: Spatial axes, 2 or 3.
    """

    def __init__(self, count: int, width: int, dims: int) -> None:
        super().__init__()
        mix = CONVOLUTION[dims](count * width, 2 * width, 1, bias=False)
        self.layers = nn.Sequential(mix, NORM[dims](2 * width))

    def forward(self, fields: Sequence[Tensor]) -> Tensor:
        """Return the mixture (B, C, *S) of N fields of that shape."""
        return F.glu(self.layers(torch.cat(list(fields), 1)), 1)


FUSIONS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "sum": SumFusion,
    "mixture": MixtureFusion,
    "concat": ConcatFusion,
    "gated": GatedFusion,
}
"""Operations by name; each is built of the number of fields, their channels and the spatial axes."""
