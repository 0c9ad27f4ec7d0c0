"""Noise of the image that is noised everywhere and shown beside a box: that of the box, or its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from diffad.denoise import as_denoiser
from diffad.protocols import Denoiser, NoiseGenerator, Sampler
from diffad.samplers.oneshot import OneShot
from diffad.samplers.streams import SeedStreams
from diffad.samplers.views import BoxView, ContextDenoiser, SharedNoise
from diffad.schedule import Schedule
from diffad.types import Example

WHOLE_NOISES = ("shared", "own")


def check_whole_noise(whole_noise: str, context: bool, inner: Sampler) -> None:
    """Refuse noise of its own where the image would be shown less and less noisy on the way down.

    Raises:
        ValueError: If there is no such noise, or it does not fit boxes and inner sampler.
    """
    if whole_noise not in WHOLE_NOISES:
        raise ValueError(f"whole_noise must be one of {WHOLE_NOISES}, got {whole_noise!r}")
    if whole_noise == "own" and not (context and isinstance(inner, OneShot)):
        raise ValueError(
            "whole_noise 'own' expected boxes in context and the inner sampler 'oneshot', as further down "
            f"the scan itself would be shown, got {type(inner).__name__} with context {context}"
        )


def draw_streams(
    whole_noise: str, denoiser: Denoiser, generators: Sequence[torch.Generator]
) -> SeedStreams | None:
    """Return the streams of noise of its own, which nothing else draws from; none where it is shared.

    Raises:
        ValueError: If the network is not shown the whole image noised.
    """
    if whole_noise == "shared":
        return None
    if not as_denoiser(denoiser).takes_whole:
        raise ValueError(
            "whole_noise 'own' expected a network that is shown the whole image noised, such as 'bridge', "
            "got one that is not"
        )
    return SeedStreams.draw(generators, len(generators))


def bind_noise(
    denoiser: Denoiser, streams: SeedStreams | None, noise: NoiseGenerator, view: BoxView, x: Tensor
) -> Denoiser:
    """Let a denoiser of boxes of ``x`` (b, C, *S) draw noise of its own from streams, if there are some."""
    if streams is None or not isinstance(denoiser, ContextDenoiser):
        return denoiser
    shared_noise, generators = SharedNoise(noise, view, x), streams.make_generators() * len(view.boxes)

    def renoise(x_t: Tensor, t: Tensor) -> Tensor:
        return shared_noise(x_t, t, generator=generators * (len(x_t) // len(generators)))

    return replace(denoiser, renoise=renoise)


def noise_whole(
    example: Example,
    t: Tensor,
    noise: NoiseGenerator,
    schedule: Schedule,
    generators: Sequence[torch.Generator],
) -> Example:
    """Return examples whose whole images (B, C, *S) have noise of their own at levels ``t`` (B,)."""
    z = noise(example.x, t, generator=generators)
    return replace(example, whole=schedule.add_noise(example.x, z, t))
