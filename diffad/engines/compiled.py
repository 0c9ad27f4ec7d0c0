"""The engine of torch itself: the core compiled into fused loops, convolutions in 8 bits where asked for."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor
from torch import Tensor, nn

from diffad.engines.core import CoreModule, EngineError, pick_given
from diffad.engines.needs import require_compiler, require_whole_numbers
from diffad.engines.quantise import Ranges, quantise_core
from diffad.io.terminal import say


class CompiledCore:
    """A core compiled for one number of items at a time; fewer are filled up with the last of them.

    Args:
        core: The core, in single precision.
        precision: "fp32", "bf16" or "int8", which is bf16 but for its convolutions.
        size: Items of an evaluation.
        ranges: What the convolutions are shown, for int8.

    Raises:
        EngineError: If the machine cannot compile, or int8 is asked for and the processor lacks it.
    """

    def __init__(self, core: CoreModule, precision: str, size: int, ranges: Ranges | None = None) -> None:
        require_compiler()
        if ranges is not None:
            core = _quantise(core, ranges)
        _simplify_attention(core)
        self.layout = torch.channels_last if _is_flat(core) else torch.contiguous_format
        cast(Any, core).to(memory_format=self.layout)
        self.narrow, self.size = precision != "fp32", size
        self.run: Any = torch.compile(core, dynamic=False)
        self._shapes: set[torch.Size] = set()

    def __call__(self, *inputs: Tensor | None) -> Tensor:
        """Answer as the core does; see ``HasCore``."""
        tensors = pick_given(inputs)
        count = len(tensors[0])
        parts = [
            self._run(*(_fill(v[start : start + self.size], self.size) for v in tensors))
            for start in range(0, count, self.size)
        ]
        return torch.cat(parts)[:count]

    def _run(self, x: Tensor, *rest: Tensor) -> Tensor:
        if x.shape not in self._shapes:
            sides = " x ".join(str(n) for n in x.shape[2:])
            say(f"compiling the network for {self.size} x {sides} positions: a minute or two the first time")
            self._shapes.add(x.shape)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=self.narrow), _hush():
            answer: Tensor = self.run(x.contiguous(memory_format=self.layout), *rest)
        return answer.float()


@contextmanager
def _hush() -> Iterator[None]:
    """Keep away what torch says of the libraries that it compiles."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _is_flat(core: nn.Module) -> bool:
    return not any(isinstance(module, nn.Conv3d) for module in core.modules())


def _fill(values: Tensor, size: int) -> Tensor:
    gap = size - len(values)
    return torch.cat([values, values[-1:].expand(gap, *values.shape[1:])]) if gap else values


def _quantise(core: CoreModule, ranges: Ranges) -> CoreModule:
    require_whole_numbers()
    if not hasattr(torch.ops.onednn, "qconv2d_pointwise"):
        raise EngineError("precision int8: expected a torch built with oneDNN for x86, found none")
    from diffad.engines.native_conv import NativeConv

    return quantise_core(core, ranges, NativeConv)


def _simplify_attention(core: nn.Module) -> None:
    """Let attention be two products and a softmax, faster on a CPU than the fused one for few positions."""
    for module in core.modules():
        if isinstance(module, Attention):
            module.set_processor(AttnProcessor())
