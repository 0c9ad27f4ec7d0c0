r"""Convolutions in whole numbers of 8 bits, as engines read them, and the ranges that they need.

.. math:: q = \mathrm{clamp}(\mathrm{round}(x / s) + z, 0, 255), \quad
          w_q = \mathrm{round}(w / s_w), \quad s_w = \max |w| / 127

with one scale for the input of a convolution and one for each of its filters.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from diffad.engines.core import CoreModule, Inputs, pick_given

Ranges = dict[str, tuple[float, float]]
"""Lowest and highest input of each convolution, by its name in the core."""
TAIL = 1e-5
"""Share of the values on either side that lie beyond a range."""
LEAST_CHANNELS = 16
"""Convolutions of fewer channels, the first and the last, stay as they are: they cost little and matter."""


def is_quantised(module: nn.Module) -> bool:
    """Tell whether a module is a convolution of 2-D images that is brought to 8 bits."""
    if not isinstance(module, nn.Conv2d) or module.groups > 1:
        return False
    return min(module.in_channels, module.out_channels) >= LEAST_CHANNELS


@torch.no_grad()
def measure_ranges(core: CoreModule, calls: Sequence[Inputs]) -> Ranges:
    """Measure what the convolutions of a core are shown.

    Args:
        core: The core, in single precision.
        calls: What it is called with on real scans.
    """
    ends: dict[str, list[tuple[float, float]]] = {}

    def watch(name: str) -> Callable[..., None]:
        def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            values = inputs[0].float().flatten()
            count = max(1, int(TAIL * len(values)))
            low, high = values.kthvalue(count).values, values.kthvalue(len(values) - count + 1).values
            ends.setdefault(name, []).append((min(float(low), 0.0), max(float(high), 0.0)))

        return look

    convs = [(name, module) for name, module in core.named_modules() if is_quantised(module)]
    hooks = [module.register_forward_pre_hook(watch(name)) for name, module in convs]
    for call in calls:
        core(*pick_given(call))
    for hook in hooks:
        hook.remove()
    return {
        name: (min(low for low, _ in pairs), max(high for _, high in pairs)) for name, pairs in ends.items()
    }


def find_scale(low: float, high: float) -> tuple[float, int]:
    """Return the scale and the whole number that stands for 0 of values between ``low`` and ``high``."""
    scale = max(high - low, 1e-8) / 255
    return scale, min(255, max(0, round(-low / scale)))


def find_filter_scales(weight: Tensor) -> Tensor:
    """Return the scale of each filter of weights (O, I, *K)."""
    return weight.detach().abs().flatten(1).amax(1).clamp(min=1e-12) / 127


class RoundedConv(nn.Module):
    """A convolution whose input and weights are rounded to 8 bits, in numbers that every exporter knows.

    Args:
        conv: The convolution.
        bounds: Lowest and highest input.
    """

    def __init__(self, conv: nn.Conv2d, bounds: tuple[float, float]) -> None:
        super().__init__()
        self.conv = conv
        self.scale, self.zero = find_scale(*bounds)
        self.register_buffer("filter_scales", find_filter_scales(conv.weight))
        self.register_buffer("filter_zeros", torch.zeros(conv.out_channels, dtype=torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        """Answer for ``x`` (B, C, H, W)."""
        conv: Any = self.conv
        x = torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero, 0, 255)
        filters: Any = (conv.weight, self.filter_scales, self.filter_zeros, 0, -128, 127)
        weight = torch.fake_quantize_per_channel_affine(*filters)
        return nn.functional.conv2d(
            x, weight, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups
        )


def quantise_core(
    core: CoreModule, ranges: Mapping[str, tuple[float, float]], make: Callable[..., nn.Module]
) -> CoreModule:
    """Return a core whose convolutions are replaced by what ``make`` makes of each and its range.

    Args:
        core: The core.
        ranges: What ``measure_ranges`` returned.
        make: Called with a convolution and its range.
    """
    twin = copy.deepcopy(core)
    for name, bounds in ranges.items():
        place, _, last = name.rpartition(".")
        parent = twin.get_submodule(place)
        setattr(parent, last, make(twin.get_submodule(name), bounds))
    return twin
