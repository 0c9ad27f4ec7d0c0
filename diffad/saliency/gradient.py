"""Gradients of a classifier: which voxels make it think of disease."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diffad.registry import SALIENCIES
from diffad.saliency.base import check_scan, enable_gradients, map_in_parts, mask_maps
from diffad.saliency.networks import NetworkSaliency, compute_logits
from diffad.saliency.smooth import smooth

BASELINES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "background": lambda x, width: torch.zeros_like(x),
    "blurred": smooth,
}
"""What a scan is compared with, by name."""


@SALIENCIES.register("gradient")
class Gradient(NetworkSaliency):
    r"""Attributes the log-odds of disease to voxels, by the gradients on the way from a baseline.

    .. math:: S = \Big| (x - b) \, \tfrac{1}{K} \sum_{k=1}^{K} \nabla \ell \big(b + \tfrac{k - 1/2}{K}
        (x - b) \big) \Big|, \quad \ell(x) = \log \frac{1 - p(0 \mid x)}{p(0 \mid x)}

    Before its absolute value, the sum over voxels is :math:`\ell(x) - \ell(b)`. Without a baseline it is
    :math:`|\nabla \ell(x)|`.

    Args:
        steps: Gradients :math:`K` on the way.
        baseline: Where the way begins, :math:`b`: "background", which is 0, or "blurred"; none for no way.
        width: Standard deviation of the blur, in voxels.
        classifier: The network, or its folder; none takes that of the pipeline.
        level: Level at which the classifier is asked; 0 is clean.

    Raises:
        ValueError: If an option is out of range; on call, if the classifier is missing or does not fit.

    Reference:
        Axiomatic Attribution for Deep Networks (Sundararajan et al., 2017), equations 1 and 3.
    """

    needs = ("classifier",)

    def __init__(
        self,
        steps: int = 16,
        baseline: str | None = "background",
        width: float = 8.0,
        classifier: Any = None,
        level: int = 0,
    ) -> None:
        if baseline is not None and baseline not in BASELINES:
            raise ValueError(f"expected baseline of {', '.join(BASELINES)} or none, got {baseline!r}")
        if steps < 1 or level < 0 or not 0 < width < math.inf:
            values = f"{steps}, {level} and {width}"
            raise ValueError(f"expected steps >= 1, level >= 0 and a finite width > 0, got {values}")
        self.steps, self.baseline, self.width = steps, baseline, width
        self.classifier, self.level = classifier, level

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, C, *S) of ``x`` (B, C, *S) in [0, 1]; zero outside ``mask`` (B, 1, *S)."""
        maps = map_in_parts(check_scan(x, mask), lambda part: self.attribution(part)[None])
        return mask_maps(maps[0].abs(), mask)

    def attribution(self, x: Tensor) -> Tensor:
        """Return the contribution of each voxel of ``x`` (B, C, *S) in [0, 1]; below 0 for health."""
        if self.baseline is None:
            return self._compute_gradient(x)
        start = BASELINES[self.baseline](x, self.width)
        total = torch.zeros_like(x)
        for k in range(self.steps):
            total += self._compute_gradient(start + (k + 0.5) / self.steps * (x - start))
        return (x - start) * total / self.steps

    def _compute_gradient(self, x: Tensor) -> Tensor:
        with enable_gradients(x.device):
            x = x.clone().requires_grad_()
            logits = compute_logits(self.get_network("classifier", x), x, self.level)
            odds = logits[:, 1:].logsumexp(1) - logits[:, 0]
            (gradient,) = torch.autograd.grad(odds.sum(), x)
        return gradient
