"""A convolution in whole numbers of 8 bits as torch computes it itself, with oneDNN."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from diffad.engines.quantise import find_filter_scales, find_scale

LAYERS: list[NativeConv] = []
"""All such convolutions of this process: compiled code calls them by number, without their weights."""


class NativeConv(nn.Module):
    """A convolution whose input and weights are 8 bits wide, and whose answer is bf16.

    Args:
        conv: The convolution.
        bounds: Lowest and highest input.
    """

    def __init__(self, conv: nn.Conv2d, bounds: tuple[float, float]) -> None:
        super().__init__()
        self.scale, self.zero = find_scale(*bounds)
        self.steps = [list(conv.stride), [int(p) for p in conv.padding], list(conv.dilation)]
        self.sides, self.out_channels = list(conv.kernel_size), conv.out_channels
        self.filter_scales = find_filter_scales(conv.weight)
        filters = conv.weight.detach() / self.filter_scales[:, None, None, None]
        filters = filters.round().clamp(-127, 127).to(torch.int8)
        pack: Any = torch.ops.onednn.qconv_prepack
        self.filters = pack(filters, self.filter_scales, self.scale, self.zero, *self.steps, 1, None)
        self.filter_zeros = torch.zeros(self.out_channels, dtype=torch.int32)
        self.bias = None if conv.bias is None else conv.bias.detach().float()
        self.number = len(LAYERS)
        LAYERS.append(self)

    def forward(self, x: Tensor) -> Tensor:
        """Answer for ``x`` (B, C, H, W)."""
        whole = (x.float() * (1 / self.scale) + self.zero).round().clamp(0, 255).to(torch.uint8)
        whole = whole.contiguous(memory_format=torch.channels_last)
        answer: Tensor = torch.ops.diffad.native_conv(whole, self.number)
        return answer

    def count_positions(self, shape: torch.Size) -> list[int]:
        """Return the sides of the answer for an input of a shape (B, C, H, W)."""
        rows = zip(shape[2:], self.sides, *self.steps, strict=True)
        return [
            (n + 2 * pad - dilation * (side - 1) - 1) // stride + 1 for n, side, stride, pad, dilation in rows
        ]


@torch.library.custom_op("diffad::native_conv", mutates_args=())
def run_native_conv(x: Tensor, number: int) -> Tensor:
    """Convolve ``x`` (B, C, H, W) of whole numbers by the convolution of a number."""
    layer = LAYERS[number]
    weights = (layer.filters, layer.filter_scales, layer.filter_zeros, layer.bias)
    run: Any = torch.ops.onednn.qconv2d_pointwise
    answer: Tensor = run(
        x, layer.scale, layer.zero, *weights, *layer.steps, 1, 1.0, 0, torch.bfloat16, "none", [], ""
    )
    return answer


@run_native_conv.register_fake
def _shape_answer(x: Tensor, number: int) -> Tensor:
    layer = LAYERS[number]
    sides = layer.count_positions(x.shape)
    answer = torch.empty(x.shape[0], layer.out_channels, *sides, dtype=torch.bfloat16, device=x.device)
    return answer.contiguous(memory_format=torch.channels_last)
