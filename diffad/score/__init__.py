r"""Scores: where a scan differs from its pseudo-healthy twin.

.. math:: a = d(x, \hat{x}) \cdot m

Both images are in [0, 1], (B, C, *S); the map :math:`a` is (B, 1, *S) and never negative.
"""

from diffad.score import combine as combine
from diffad.score import normative as normative
from diffad.score import residual as residual
from diffad.score import ssim as ssim
from diffad.score import zscore as zscore
