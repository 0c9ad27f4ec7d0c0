"""Listening to the layers of a network while it answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

STAGES = re.compile(r"(.*\.)?((down_blocks|down)\.\d+|mid_block|middle_block|bottom)")
"""Stages of the U-Nets of diffusers, of MONAI and of ours, on the way down and in the middle."""


def find_modules(network: nn.Module, names: Sequence[str] | None = None) -> list[nn.Module]:
    """Return modules of a network by name; without names, its stages on the way down and its middle.

    Raises:
        ValueError: If it has none of these; the message names those that it has.
    """
    modules = dict(network.named_modules())
    if names is None:
        names = [name for name in modules if STAGES.fullmatch(name)]
    unknown_names = [name for name in names if name not in modules]
    if unknown_names or not names:
        module_names = ", ".join(name for name in modules if name.count(".") < 3 and name)
        request = f"modules named {', '.join(unknown_names)}"
        if not names:
            request = "stages named as in a U-Net; name taps"
        raise ValueError(
            f"{type(network).__name__} expected to have {request}; it has {module_names or 'none'}"
        )
    return [modules[name] for name in names]


@contextmanager
def record_outputs(modules: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Give the list that the answers of ``modules`` (B, C, *S) are added to, until the end of the block."""
    answers: list[Tensor] = []

    def record(module: nn.Module, args: Any, answer: Any) -> None:
        # blocks on the way down answer with their skips too
        answers.append(answer[0] if isinstance(answer, tuple) else answer)

    handles = [module.register_forward_hook(record) for module in modules]
    try:
        yield answers
    finally:
        for handle in handles:
            handle.remove()
