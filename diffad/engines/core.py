"""The part of a network that an engine runs in its place, found, replaced and looked at."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from diffad.protocols import HasCore

Core = Callable[..., Tensor]
"""Answers as ``run_core`` of a network does."""
Inputs = tuple[Tensor | None, ...]
"""What a core is called with."""


class EngineError(ValueError):
    """A network, a number format or a machine that an engine cannot be used with."""


class CoreModule(nn.Module):
    """The core of a network as a module of its own, called with tensors alone.

    Args:
        owner: The network whose core it is.
        present: Which of the arguments of the core are given; the others are none.
    """

    def __init__(self, owner: nn.Module, present: tuple[bool, ...]) -> None:
        super().__init__()
        self.owner, self.present = owner, present

    def forward(self, *tensors: Tensor) -> Tensor:
        """Answer for the arguments that are given."""
        rest = iter(tensors)
        values = [next(rest) if is_there else None for is_there in self.present]
        run: Any = self.owner.run_core
        answer: Tensor = run(*values)
        return answer


def find_core(network: Any) -> str:
    """Return the name of the only module in ``network`` that has a core; empty for the network itself.

    Raises:
        EngineError: If there is none, or more than one.
    """
    modules = network.named_modules() if isinstance(network, nn.Module) else ()
    names = [name for name, module in modules if isinstance(module, HasCore)]
    if len(names) != 1:
        count_text = "none" if not names else f"{len(names)} of these"
        expectation = "a network with one core (unet2d, unet3d, adm, dit, dtunet, uvit, or one around these)"
        raise EngineError(
            f"engine: expected {expectation}, got {type(network).__name__}, which has {count_text}"
        )
    return names[0]


def swap_core(network: nn.Module, name: str, core: Core) -> nn.Module:
    """Return the network with another core; weights are shared, and the network itself is left alone.

    Args:
        network: The network.
        name: Where its core is, see ``find_core``.
        core: What answers in its place.
    """
    twin = copy.copy(network)
    if not name:
        object.__setattr__(twin, "run_core", core)
        return twin
    child, _, rest = name.partition(".")
    twin._modules = dict(network._modules)
    inner = network._modules[child]
    assert inner is not None
    twin._modules[child] = swap_core(inner, rest, core)
    return twin


@torch.no_grad()
def make_inputs(network: nn.Module, name: str, batch: int = 2, scale: int = 2) -> Inputs:
    """Return what the core is called with for made-up images, from the network's own way to it.

    Args:
        network: The network.
        name: Where its core is.
        batch: Items.
        scale: Side of the images, in units of what sides are padded to; the last axis has one more.
    """
    owner: Any = network.get_submodule(name)
    config, generator = owner.config, torch.Generator().manual_seed(batch)
    dims = int(config.get("dims", 2))
    shape = [scale * owner.multiple] * (dims - 1) + [(scale + 1) * owner.multiple]

    def draw(*sizes: int) -> Tensor:
        return torch.randn(*sizes, generator=generator)

    cond = {}
    if width := config.get("embedding", 0):
        cond["embedding"] = draw(batch, width)
    if getattr(owner, "null", None):
        cond["y"] = torch.zeros(batch, dtype=torch.long)
    if count := config.get("neighbours", 0):
        cond["neighbours"] = draw(batch, 2 * count * config.in_channels, *shape)
    calls: list[Inputs] = []
    twin = record_core(owner, "", calls)
    twin(draw(batch, config.in_channels, *shape), torch.arange(batch) + 5, **cond)
    return calls[0]


def record_core(network: nn.Module, name: str, calls: list[Inputs]) -> nn.Module:
    """Return the same network, which puts what its core is called with into ``calls``."""
    owner: Any = network.get_submodule(name)
    original = owner.run_core

    def record(*values: Tensor | None) -> Tensor:
        calls.append(tuple(None if value is None else value.detach().cpu() for value in values))
        answer: Tensor = original(*values)
        return answer

    return swap_core(network, name, record)


def isolate_core(network: nn.Module, name: str, inputs: Inputs) -> CoreModule:
    """Return the core as a module of its own, on copies of its weights in single precision."""
    owner = copy.deepcopy(network.get_submodule(name)).float().cpu().eval().requires_grad_(False)
    return CoreModule(owner, tuple(value is not None for value in inputs)).eval()


def pick_given(inputs: Inputs) -> tuple[Tensor, ...]:
    """Return what is given, floating numbers in single precision."""
    values = [value for value in inputs if value is not None]
    return tuple(v.float() if v.is_floating_point() else v for v in values)
