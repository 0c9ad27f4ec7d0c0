"""Parts of one network that learn against each other: whose turn a step is, and what it moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from diffad.config import Config
from diffad.protocols import TakesTurns
from diffad.registry import DETECTORS
from diffad.training.state import NetworkRun


def choose_turn(run: NetworkRun) -> str | None:
    """Return the part of its network that the next step of a run moves; none where all move at once."""
    network = run.unwrapped
    return network.choose_turn(run.step, run.config.train.steps) if isinstance(network, TakesTurns) else None


@contextmanager
def moved_alone(network: nn.Module, turn: str | None) -> Iterator[None]:
    """Let gradients reach the weights of one part of a network alone.

    Args:
        network: The network.
        turn: The name of its child; none lets them reach all that they would.
    """
    others = [
        p
        for name, p in network.named_parameters()
        if turn is not None and p.requires_grad and not _is_in(name, turn)
    ]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)


def _is_in(name: str, child: str) -> bool:
    return name.startswith(f"{child}.")


def trains_in_turns(config: Config) -> bool:
    """Tell whether the network of a config has parts that take turns; of several processes each must know."""
    name = config.model["name"]
    return config.task == "detect" and name in DETECTORS and hasattr(DETECTORS[name], "choose_turn")
