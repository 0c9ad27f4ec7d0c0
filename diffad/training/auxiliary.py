"""Further losses by name, which a recipe adds to the main one with weights of ``train.auxiliary``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from einops import reduce
from torch import Tensor

from diffad.config import ConfigError
from diffad.registry import unknown_name
from diffad.types import Example

AuxiliaryLoss = Callable[[Tensor, Example], Tensor]
"""A loss (B,) of what the network marks, as logits (B, 1, *S), of an example."""


def measure_entropy(logits: Tensor, example: Example) -> Tensor:
    """Return the cross-entropy (B,) of the logits (B, 1, *S) of what was damaged in an example."""
    return marking_loss(logits, example.damage)


def marking_loss(logits: Tensor, damage: Tensor | None) -> Tensor:
    """Return the cross-entropy (B,) of the logits (B, 1, *S) of what was damaged; without, of nothing."""
    target = _find_target(logits, damage)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return reduce(entropy, "b ... -> b", "mean")


def measure_square(logits: Tensor, example: Example) -> Tensor:
    r"""Return the mean squared error (B,) of the probability of what was damaged.

    Reference:
        MAD-AD: Masked Diffusion for Unsupervised Brain Anomaly Detection (Beizaee et al., IPMI 2025).
    """
    error = logits.sigmoid() - _find_target(logits, example.damage)
    return reduce(error.square(), "b ... -> b", "mean")


LOSSES: dict[str, AuxiliaryLoss] = {"marks_entropy": measure_entropy, "marks_l2": measure_square}
"""What ``train.auxiliary`` may name."""


def check_auxiliary(weights: Mapping[str, float], marks: bool) -> None:
    """Refuse names of losses that nobody knows, and losses of marks of a network that makes none.

    Raises:
        ConfigError: With the name.
    """
    for name in weights:
        if name not in LOSSES:
            raise ConfigError(f"config key train.auxiliary: {unknown_name('loss', name, list(LOSSES))}")
    if weights and not marks:
        names = ", ".join(weights)
        raise ConfigError(
            f"config key train.auxiliary: {names} needs a network that marks anomalies (model.marks=true)"
        )


def sum_auxiliary(weights: Mapping[str, float], logits: Tensor, example: Example) -> Tensor:
    """Return the weighted sum (B,) of further losses."""
    total = torch.zeros(len(logits), device=logits.device)
    for name, weight in weights.items():
        total = total + weight * LOSSES[name](logits, example)
    return total


def _find_target(logits: Tensor, damage: Tensor | None) -> Tensor:
    return torch.zeros_like(logits) if damage is None else damage.to(logits)
