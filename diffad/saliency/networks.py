"""The trained networks that a saliency looks through, and what a classifier says of a scan."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from diffad.data.space import to_model
from diffad.denoise import call_network


class NetworkSaliency:
    """A saliency that has networks, each an option of that name: itself, its folder, or none."""

    needs: ClassVar[tuple[str, ...]] = ()
    """Names of the networks."""

    def attach_networks(self, networks: Mapping[str, Any]) -> None:
        """Take the networks of a pipeline, unless others were given."""
        for name in self.needs:
            if getattr(self, name) is None:
                setattr(self, name, networks.get(name))

    def get_network(self, name: str, like: Tensor) -> Any:
        """Return the network ``name``, where and at least as precise as ``like``.

        Raises:
            ValueError: If none was given.
            ModelError: If its folder holds no registered network.
        """
        if not callable(getattr(self, name)):
            # networks take a second to import
            from diffad.models.auxiliary import require_network

            setattr(
                self, name, require_network(getattr(self, name), name, f"the saliency {type(self).__name__}")
            )
        return match_precision(getattr(self, name), like)


def match_precision(network: Any, like: Tensor) -> Any:
    """Return a network where ``like`` is and at least as precise, itself if it is so already."""
    if not isinstance(network, nn.Module):
        return network
    weights = [p for p in network.parameters() if p.is_floating_point()]
    if all(p.device == like.device and torch.promote_types(p.dtype, like.dtype) == p.dtype for p in weights):
        return network
    # not by the method of diffusers, which warns of every cast
    return nn.Module.to(copy.deepcopy(network), like.device, like.dtype)


def compute_logits(classifier: Callable[..., Any], x: Tensor, level: int, target: int = 0) -> Tensor:
    """Ask what a classifier says of scans.

    Args:
        classifier: Called as ``classifier(x_t, labels)``: scans in [-1, 1], labels one below the level.
        x: Scans in [0, 1], (B, C, *S).
        level: Level to ask at; 0 is clean.
        target: A class that there must be.

    Returns:
        Logits (B, K).

    Raises:
        ValueError: If the answer has another shape, or too few classes.
    """
    logits, minimum = call_network(classifier, to_model(x), torch.tensor(level)), max(2, target + 1)
    if logits.ndim != 2 or len(logits) != len(x) or logits.shape[1] < minimum:
        raise ValueError(
            f"expected logits ({len(x)}, K) of the classifier, with K of at least {minimum}, "
            f"got {tuple(logits.shape)}"
        )
    return logits
