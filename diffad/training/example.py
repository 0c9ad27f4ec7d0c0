"""What a network that asks for conditions or labels is told in training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from diffad.data.space import to_public
from diffad.denoise import null_label
from diffad.protocols import Conditional
from diffad.types import Example


def condition_kwargs(network: Any, example: Example) -> dict[str, Tensor]:
    """Return the image for a network that has ``conditions``, the labels for one with a null label.

    Args:
        network: The bare network.
        example: What it is shown.
    """
    if isinstance(network, Conditional):
        return {"image": to_public(example.x) if example.told is None else example.told}
    null = null_label(network)
    if null is None or example.label is None:
        return {}
    return {"y": torch.where(example.label < 0, null, example.label)}
