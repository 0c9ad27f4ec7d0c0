r"""Scores: where a scan differs from its pseudo-healthy reconstruction.

.. math:: a = d(x, \hat{x}) \cdot m

Both images are in [0, 1], (B, C, *S); the map :math:`a` is (B, 1, *S) and never negative.
"""

from diffad.score import change as change
from diffad.score import codes as codes
from diffad.score import combine as combine
from diffad.score import features as features
from diffad.score import flip as flip
from diffad.score import gms as gms
from diffad.score import likelihood as likelihood
from diffad.score import lpips as lpips
from diffad.score import ms_ssim as ms_ssim
from diffad.score import normative as normative
from diffad.score import rebuilt as rebuilt
from diffad.score import relative as relative
from diffad.score import residual as residual
from diffad.score import spread as spread
from diffad.score import ssim as ssim
from diffad.score import temporal as temporal
from diffad.score import triplet as triplet
from diffad.score import zscore as zscore
