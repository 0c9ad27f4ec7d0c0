r"""Saliencies: where a scan looks suspicious, before anything is rebuilt.

.. math:: S = s(x) \ge 0

The scan is in [0, 1]; scan and map are (B, C, *S). The higher, the more suspicious, but a map has no scale
that two scans could be compared by. Every item of a batch is looked at alone.

A saliency that needs the network which restores has ``begin(denoiser, noise, generator)``; a sampler calls it
first, and looks with what it returns.
"""

from diffad.saliency import autoencoded as autoencoded
from diffad.saliency import controls as controls
from diffad.saliency import counterfactual as counterfactual
from diffad.saliency import gradient as gradient
from diffad.saliency import restored as restored
