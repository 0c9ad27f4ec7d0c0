"""What a network that asks for conditions is told in training."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from diffad.data.space import to_public
from diffad.types import Example


def known(network: Any, example: Example) -> dict[str, Tensor]:
    """Return the clean image for a network that has ``conditions``, and nothing for others."""
    return {"image": to_public(example.x)} if hasattr(network, "conditions") else {}
