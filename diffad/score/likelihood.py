"""The map that a sampler makes on its way, taken as a score."""

from __future__ import annotations

from torch import Tensor

from diffad.registry import SCORES
from diffad.score.base import average_inside, pair_images
from diffad.types import Reconstruction


@SCORES.register("likelihood")
class LikelihoodScore:
    r"""The map of the sampler itself: how likely each voxel is anomalous.

    .. math:: a = L

    Needs a sampler with a map of its own, such as "resampled" or "fusion". Multiplied with the residual, it
    is the published anomaly map of mask, stitch, and re-sample.

    Reference:
        Mask, Stitch, and Re-Sample (Bercea et al., 2023), section 2.

    Example:
        >>> published = SCORES.build("product", scores=[{"name": "l1"}, {"name": "likelihood"}])
    """

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the sampler made no map, or the shapes do not fit.
        """
        x, _ = pair_images(x, restoration)
        if restoration.map is None:
            raise ValueError(
                "expected a sampler that makes a map of its own, such as 'resampled' or 'fusion', got none"
            )
        if restoration.map.shape != (shape := (len(x), 1, *x.shape[2:])):
            raise ValueError(f"expected restoration.map of shape {shape}, got {tuple(restoration.map.shape)}")
        return average_inside(restoration.map.to(x.dtype), mask)
