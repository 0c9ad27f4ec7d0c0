"""The masked autoencoder that pretrains an encoder: most of an image is hidden, and filled in again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from diffad.models.cells import count_cells
from diffad.models.encoder import GROUPS, STRIDE, Encoder
from diffad.models.padding import crop_back
from diffad.models.sparse import VisibleCells, extract_pyramid


class MaskedAutoencoder(nn.Module):
    """Fills hidden cells in from the maps that an encoder makes of the visible ones.

    Args:
        encoder: What is pretrained; its head takes no part.
        cell: Side of a cell, in pixels; divides 32 or is a multiple of it.

    Raises:
        ValueError: If the cells do not fit the strides of the encoder.

    Reference:
        Designing BERT for Convolutional Networks: Sparse and Hierarchical Masked Modeling
        (Tian et al., 2023), sections 3.1 to 3.3.
    """

    def __init__(self, encoder: Encoder, cell: int = STRIDE) -> None:
        super().__init__()
        if cell < 1 or (cell % STRIDE and STRIDE % cell):
            raise ValueError(f"expected cells that divide {STRIDE} or are multiples of it, got {cell}")
        self.encoder, self.cell = encoder, cell
        encoder.resnet.fc.requires_grad_(False)
        dims, norm = encoder.options["dims"], encoder.options["norm"]
        widths = [8 * encoder.options["planes"] // 2**k for k in range(6)]
        encoder_widths = encoder.widths[::-1]
        kernels = [1, 3, 3, 3]
        self.fills = nn.ModuleList(
            Fill(dims, i, o, k, norm) for i, o, k in zip(encoder_widths, widths[:4], kernels, strict=True)
        )
        self.grows = nn.ModuleList(Grow(dims, i, o, norm) for i, o in pairwise(widths))
        self.out = _make_conv(dims, widths[-1], encoder.options["in_channels"], 1)

    def forward(self, image: Tensor, cells: Tensor) -> Tensor:
        """Rebuild images ``image`` (B, C, *S), of which only the visible ``cells`` (B, 1, *N) are looked at.

        Raises:
            ValueError: If the grid of cells is not that of the image.
        """
        shape = list(image.shape[2:])
        if list(cells.shape) != [len(image), 1, *count_cells(shape, self.cell)]:
            grid = (len(image), 1, *count_cells(shape, self.cell))
            raise ValueError(f"expected cells {grid} for images {shape}, got {tuple(cells.shape)}")
        sides = [n * max(self.cell, STRIDE) for n in count_cells(shape, max(self.cell, STRIDE))]
        # what is added beyond the image is hidden, and 0 as its background
        visible = VisibleCells(_extend(cells, [n // self.cell for n in sides]))
        maps = extract_pyramid(self.encoder.resnet, _extend(image, sides), visible)
        return crop_back(self._paint(maps[::-1], visible), tuple(slice(n) for n in shape))

    def _paint(self, maps: list[Tensor], visible: VisibleCells) -> Tensor:
        """Decode maps, coarsest first; each is added to what has grown to its size."""
        filled_maps = [fill(m, visible) for fill, m in zip(self.fills, maps, strict=True)]
        h: Tensor = self.grows[0](filled_maps[0])
        for grow, m in zip(list(self.grows)[1:-1], filled_maps[1:], strict=True):
            h = grow(h + m)
        image: Tensor = self.out(self.grows[-1](h))
        return image


class Fill(nn.Module):
    """Puts one learned token in all hidden positions of a map, and brings the map to the decoder's width.

    Args:
        dims: Spatial axes.
        width: Channels in.
        out: Channels out.
        kernel: Side of the convolution.
        norm: "group" or "batch".
    """

    def __init__(self, dims: int, width: int, out: int, kernel: int, norm: str) -> None:
        super().__init__()
        self.norm = _make_norm(dims, width, norm)
        self.token = nn.Parameter(torch.zeros(width))
        nn.init.trunc_normal_(self.token, std=0.02)
        self.conv = _make_conv(dims, width, out, kernel)

    def forward(self, x: Tensor, visible: VisibleCells) -> Tensor:
        """Return a dense map (B, out, *S) of the sparse ``x`` (B, width, *S)."""
        token = rearrange(self.token, f"c -> 1 c {'1 ' * (x.ndim - 2)}").to(x.dtype)
        dense_map: Tensor = self.conv(
            torch.where(visible.mark_positions(x.shape[2:]), visible(self.norm, x), token)
        )
        return dense_map


class Grow(nn.Sequential):
    """Doubles the lengths of a map, then changes its width in two convolutions.

    Args:
        dims: Spatial axes.
        width: Channels in.
        out: Channels out.
        norm: "group" or "batch".
    """

    def __init__(self, dims: int, width: int, out: int, norm: str) -> None:
        layer = nn.ConvTranspose2d if dims == 2 else nn.ConvTranspose3d
        super().__init__(
            layer(width, width, kernel_size=4, stride=2, padding=1),
            _make_conv(dims, width, width, 3, bias=False),
            _make_norm(dims, width, norm),
            nn.ReLU6(),
            _make_conv(dims, width, out, 3, bias=False),
            _make_norm(dims, out, norm),
        )


def _make_conv(dims: int, width: int, out: int, kernel: int, bias: bool = True) -> nn.Module:
    layer = nn.Conv2d if dims == 2 else nn.Conv3d
    return layer(width, out, kernel, padding=kernel // 2, bias=bias)


def _make_norm(dims: int, width: int, norm: str) -> nn.Module:
    if norm == "group":
        return nn.GroupNorm(math.gcd(GROUPS, width), width)
    return nn.BatchNorm2d(width) if dims == 2 else nn.BatchNorm3d(width)


def _extend(x: Tensor, sides: Sequence[int]) -> Tensor:
    """Lengthen the axes of ``x`` (B, C, *S) to ``sides`` by zeros at their ends."""
    pads = [side - n for n, side in zip(x.shape[2:], sides, strict=True)]
    # F.pad counts from the last axis
    return F.pad(x, [pad for length in pads[::-1] for pad in (0, length)])
