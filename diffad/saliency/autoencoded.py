"""What an autoencoder cannot rebuild."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from diffad.registry import SALIENCIES
from diffad.saliency.base import check_scan, mask_maps
from diffad.saliency.networks import NetworkSaliency


@SALIENCIES.register("autoencoded")
class Autoencoded(NetworkSaliency):
    r"""Compares a scan with what an autoencoder of healthy scans makes of it.

    .. math:: S = |x - D(E(x))|

    Args:
        autoencoder: The network, called with a scan in [0, 1], or its folder; none takes the pipeline's.

    Raises:
        ValueError: On call, if the autoencoder is missing or does not fit.

    Reference:
        Autoencoders for Unsupervised Anomaly Segmentation in Brain MR Images (Baur et al., 2021).
    """

    needs = ("autoencoder",)

    def __init__(self, autoencoder: Any = None) -> None:
        self.autoencoder = autoencoder

    @torch.no_grad()
    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, C, *S) of ``x`` (B, C, *S) in [0, 1]; zero outside ``mask`` (B, 1, *S)."""
        x = check_scan(x, mask)
        with torch.autocast(x.device.type, enabled=False):
            return mask_maps((x - self.get_network("autoencoder", x)(x)).abs(), mask)
