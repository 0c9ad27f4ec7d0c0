"""Change: what a sampler altered, and not what its way there and back lost."""

from __future__ import annotations

import torch
from torch import Tensor

from diffad.registry import SCORES
from diffad.score.base import average_inside, pair_images
from diffad.score.finish import Finish
from diffad.score.residual import check_channels, reduce_channels
from diffad.types import Reconstruction


@SCORES.register("change")
class Change:
    r"""Distance of the reconstruction from the scan as the same sampler rebuilds it without an edit.

    .. math:: a = \mathrm{blur}(g \min(\tfrac{1}{C} \sum_c |\hat{x}_c - r_c|, a_{\max}))

    Errors of the reconstruction :math:`r`, which are no anomalies, are in both and cancel. Where a sampler
    has no reconstruction, the scan itself takes its place.

    Args:
        channels: "mean" as above, "sum" without the 1/C, "max", or the number of one sequence, from 0 on: the
            published map is that of FLAIR.
        reference: Divide the map of each item by its largest value, and cut it off to 8 bits, as published:
            a healthy slice then looks like any other.
        clip: Largest distance :math:`a_{\max}` that counts, in [0, 1]; none counts all.
        gain: Factor :math:`g` of the distances.
        blur: Width of a Gaussian blur in pixels, or voxels of a volume; 0 for none.

    Raises:
        ValueError: If ``channels`` is unknown, or a number is out of range.

    Reference:
        Diffusion Models for Counterfactual Generation and Anomaly Detection in Brain Images (Fontanella et
        al., 2024). Clipped at .125 of [0, 1], with gain 8 and blur 5: MAD-AD (Beizaee et al., IPMI 2025).
    """

    def __init__(
        self,
        channels: str | int = "mean",
        reference: bool = False,
        clip: float | None = None,
        gain: float = 1.0,
        blur: float = 0.0,
    ) -> None:
        self.channels, self.reference = check_channels(channels), reference
        self.clip, self.gain, self.blur = clip, gain, blur
        self._finish = Finish(clip, gain, blur)

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the shapes do not fit.
        """
        x, x_hat = pair_images(x, restoration)
        r = x if restoration.reference is None else _check_reference(restoration.reference, x)
        scores = self._finish(reduce_channels((x_hat - r).abs(), self.channels))
        return average_inside(_cut_to_bytes(scores) if self.reference else scores, mask)


def _cut_to_bytes(scores: Tensor) -> Tensor:
    """Divide maps (B, 1, *S) by their largest values, and cut them off to 256 steps."""
    peak = scores.amax(tuple(range(1, scores.ndim)), keepdim=True)
    scaled_scores = torch.where(peak > 0, scores * (1 / peak.where(peak > 0, torch.ones_like(peak))), 0)
    return (255 * scaled_scores).floor() / 255


def _check_reference(reference: Tensor, x: Tensor) -> Tensor:
    if reference.shape != x.shape:
        shape = tuple(reference.shape)
        raise ValueError(f"expected restoration.reference of shape {tuple(x.shape)} like x, got {shape}")
    return reference.to(torch.promote_types(reference.dtype, x.dtype))
