"""How much the codes of scan and twin differ, in coded spaces."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from diffad.registry import SCORES
from diffad.score.base import average_inside, pair_images
from diffad.score.finish import Finish
from diffad.types import Reconstruction


@SCORES.register("code")
class CodeChange:
    r"""Distance of the code of the twin from that of the scan, brought to the size of the scan.

    .. math:: a = \mathrm{up}(\mathrm{blur}(g \min(\tfrac{1}{Z} \sum_c |\hat z_c - z_c|, a_{\max})))

    Args:
        clip: Largest distance :math:`a_{\max}` that counts, in the units of codes; none counts all.
        gain: Factor :math:`g` of the distances.
        blur: Width of a Gaussian blur in cells of the code; 0 for none.

    Raises:
        ValueError: If a number is out of range, or, on call, if there are no codes, as with a network of
            images.

    Reference:
        REFLECT: Rectified Flows for Efficient Brain Anomaly Correction Transport (Beizaee et al., 2025), with
        clip .4, gain 2.5 and blur 1.
    """

    def __init__(self, clip: float | None = None, gain: float = 1.0, blur: float = 0.0) -> None:
        self.clip, self.gain, self.blur = clip, gain, blur
        self._finish = Finish(clip, gain, blur)

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the shapes do not fit, or there are no codes.
        """
        x, _ = pair_images(x, restoration)
        change = restoration.code_change
        if change is None:
            raise ValueError("score 'code' expected a model of codes (space.code latent or haar), found none")
        cells = self._finish(change.to(x.dtype).abs().mean(1, keepdim=True))
        mode = "bilinear" if x.ndim == 4 else "trilinear"
        return average_inside(F.interpolate(cells, x.shape[2:], mode=mode, align_corners=False), mask)
