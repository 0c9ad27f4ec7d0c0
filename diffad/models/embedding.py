"""A vector that conditions a network next to the time embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def make_embedding_layers(width: int, out: int) -> nn.Sequential:
    r"""Return the layers between a condition vector and the residual blocks.

    .. math:: e_c = W_2 \, \mathrm{SiLU}(W_1 c + b_1) + b_2

    Args:
        width: Length of the vector :math:`c`.
        out: Length of :math:`e_c`, that of the time embedding.

    Reference:
        Guided Reconstruction with Conditioned Diffusion Models for Unsupervised Anomaly Detection in Brain
        MRIs (Behrendt et al., 2025).
    """
    return nn.Sequential(nn.Linear(width, out), nn.SiLU(), nn.Linear(out, out))


def embed(layers: nn.Module | None, embedding: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """Run ``layers`` on the vectors (B, width) in the precision of a network; None where there are none."""
    return None if layers is None or embedding is None else layers(embedding.to(dtype))


def check_width(width: int, name: str) -> None:
    """Refuse a negative length of the vector; 0 is a network without one.

    Raises:
        ValueError: If ``width`` is negative.
    """
    if width < 0:
        raise ValueError(f"{name} expected embedding of at least 0, got {width}")


def check_embedding(embedding: Tensor | None, width: int, batch: int, name: str) -> None:
    """Refuse a vector that the network has no use for, and its absence where it needs one.

    Args:
        embedding: Condition vectors, (B, width), or None.
        width: Length that the network was built for; 0 for a network without condition.
        batch: Items B of the state.
        name: Network, for the message.

    Raises:
        ValueError: If the vectors are missing, surplus or of another shape.
    """
    if width == 0 and embedding is not None:
        raise ValueError(f"{name} expected no embedding, as it was built with embedding = 0, got one")
    if width and embedding is None:
        raise ValueError(f"{name} expected an embedding ({batch}, {width}), got none")
    if embedding is not None and tuple(embedding.shape) != (batch, width):
        raise ValueError(f"{name} expected an embedding ({batch}, {width}), got {tuple(embedding.shape)}")
