"""A detector without diffusion in the place of a sampler: it says itself where a scan is odd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from diffad.data.space import to_model, to_public
from diffad.protocols import Denoiser, Detector, NoiseGenerator
from diffad.registry import SAMPLERS
from diffad.samplers.base import check_call
from diffad.types import Generators, Reconstruction, StepRecord


@SAMPLERS.register("detect")
class Detect:
    r"""Asks the network of a pipeline for its own anomaly map; the score "likelihood" takes it as it is.

    .. math:: (a, \hat x) = f(x, m)

    The network is one of ``DETECTORS``. Where it makes no twin, the twin is the scan. Noise, levels and
    guidance play no part.

    Raises:
        ValueError: On call, if the network of the pipeline is no detector.

    Example:
        >>> method = {"sampler": {"name": "detect"}, "score": {"name": "likelihood"}}
    """

    def __init__(self) -> None:
        self._network: Any = None

    def attach_networks(self, networks: Mapping[str, Any]) -> None:
        """Take the network of the pipeline.

        Raises:
            ValueError: If it is no detector.
        """
        network = networks.get("network")
        if not isinstance(network, Detector):
            raise ValueError(
                "sampler 'detect' expected one of the detectors as the network of the pipeline, got "
                f"{type(network).__name__}"
            )
        self._network = network

    @torch.no_grad()
    def __call__(
        self,
        x: Tensor,
        denoiser: Denoiser,
        noise: NoiseGenerator,
        *,
        generator: Generators,
        mask: Tensor | None = None,
        on_step: Callable[[StepRecord], None] | None = None,
    ) -> Reconstruction:
        """Ask for the map of ``x`` (B, C, *S) in [-1, 1]; neither ``denoiser`` nor ``noise`` plays a part."""
        if self._network is None:
            raise ValueError(
                "sampler 'detect' expected the network of a pipeline, which was not handed to it"
            )
        check_call(x, denoiser, 1, generator)
        mask = torch.ones_like(x[:, :1]) if mask is None else mask
        detection = self._network.detect(to_public(x), mask)
        twin = x if detection.image is None else to_model(detection.image)
        if on_step is not None:
            on_step(StepRecord(1, 0, x, twin, twin, detection.map))
        return Reconstruction(twin, nfe=1, map=detection.map)
