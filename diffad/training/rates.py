"""Parts of a network that learn at rates of their own."""

from __future__ import annotations

from typing import Any

from diffad.protocols import ScalesRates


def group_parameters(network: Any) -> list[dict[str, Any]]:
    """Group the weights of a network for the optimiser, each group with its share of the learning rate.

    Args:
        network: The network; all of its weights make one group unless it has ``rate_factors``.

    Raises:
        ValueError: If it names a part that has no weights.
    """
    factors = dict(network.rate_factors) if isinstance(network, ScalesRates) else {}
    groups: dict[str, list[Any]] = {"": [], **{part: [] for part in factors}}
    for name, parameter in network.named_parameters():
        part = name.split(".", 1)[0]
        groups[part if part in factors else ""].append(parameter)
    if empty := [part for part in factors if not groups[part]]:
        raise ValueError(f"expected rate_factors of parts with weights, got {', '.join(empty)}")
    return [{"params": many, "factor": factors.get(part, 1.0)} for part, many in groups.items()]
