"""A network that is told the same class of every state, whichever way it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffad.denoise import DenoiserWrapper, as_denoiser
from diffad.protocols import Denoiser


@dataclass(frozen=True, eq=False)
class ToldDenoiser(DenoiserWrapper):
    """A denoiser that is told one class, which is no steering: it is told on the way to noise, too.

    Args:
        inner: The one inside; takes the labels ``y`` (B,).
        label: The class.
    """

    label: int

    def __call__(self, x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        """Map ``x_t`` (B, C, *S) at level ``t`` () or (B,) to x_hat (B, C, *S)."""
        return self.inner(x_t, t, **{**cond, "y": self._list_labels(x_t)})

    def estimate(self, x_t: Tensor, t: Tensor, **cond: Any) -> tuple[Tensor, Tensor | None]:
        """Do the same, and return what is marked in the state."""
        return self.inner.estimate(x_t, t, **{**cond, "y": self._list_labels(x_t)})

    def _list_labels(self, x_t: Tensor) -> Tensor:
        return torch.full((len(x_t),), self.label, device=x_t.device)


def tell_class(denoiser: Denoiser, label: int) -> Denoiser:
    """Return the denoiser as it is told of a class; itself where it takes none.

    Raises:
        ValueError: If it has classes, but not this one.
    """
    plain_denoiser = as_denoiser(denoiser)
    classes = plain_denoiser.null_label
    if classes is None:
        return plain_denoiser
    if label >= classes:
        raise ValueError(f"expected a target among the {classes} classes of the network, got {label}")
    return ToldDenoiser(plain_denoiser, label)
