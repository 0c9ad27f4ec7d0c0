"""Change: what a sampler altered, and not what its way there and back lost."""

from __future__ import annotations

import torch
from torch import Tensor

from diffad.registry import SCORES
from diffad.score.base import average_inside, pair_images
from diffad.score.residual import check_channels, reduce_channels
from diffad.types import Reconstruction


@SCORES.register("change")
class Change:
    r"""Distance of the reconstruction from the scan as the same sampler rebuilds it without an edit.

    .. math:: a = \tfrac{1}{C} \sum_c |\hat{x}_c - r_c|

    Errors of the reconstruction :math:`r`, which are no anomalies, are in both and cancel. Where a sampler
    has no reconstruction, the scan itself takes its place.

    Args:
        channels: "mean" as above, "sum" without the 1/C, "max", or the number of one sequence, from 0 on: the
            published map is that of FLAIR.

    Raises:
        ValueError: If ``channels`` is unknown.

    Reference:
        Diffusion Models for Counterfactual Generation and Anomaly Detection in Brain Images (Fontanella et
        al., 2024).
    """

    def __init__(self, channels: str | int = "mean") -> None:
        self.channels = check_channels(channels)

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the shapes do not fit.
        """
        x, x_hat = pair_images(x, restoration)
        r = x if restoration.reference is None else _check_reference(restoration.reference, x)
        return average_inside(reduce_channels((x_hat - r).abs(), self.channels), mask)


def _check_reference(reference: Tensor, x: Tensor) -> Tensor:
    if reference.shape != x.shape:
        shape = tuple(reference.shape)
        raise ValueError(f"expected restoration.reference of shape {tuple(x.shape)} like x, got {shape}")
    return reference.to(torch.promote_types(reference.dtype, x.dtype))
