"""Any sampler in a coded space: the scan is encoded once, and what the sampler makes of its code decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from diffad.capabilities import list_parts, restrict_to_region
from diffad.denoise import DenoiserWrapper
from diffad.models.coding import Coding
from diffad.protocols import Denoiser, NeedsNetworks, NoiseGenerator, Sampler
from diffad.types import Generators, Reconstruction, StepRecord


@dataclass(frozen=True, eq=False)
class ScaledDenoiser(DenoiserWrapper):
    r"""A denoiser of codes that answers for codes brought to the range of images, [-1, 1].

    .. math:: \hat x'(x'_t, t) = \hat x(r \, x'_t, t) / r

    Every move between levels is linear, so that a sampler does on scaled codes, with noise as scaled, what it
    would do on the codes; and what it clamps or shows in the range of images is right for codes, too.

    Args:
        inner: Denoiser of codes, which clamps nothing.
        reach: How far codes reach from 0, r.
        is_clamped: Whether estimates are kept in the range.
    """

    reach: float = 1.0
    is_clamped: bool = True

    @property
    def clamps(self) -> bool:
        """Whether estimates are clamped to [-1, 1]."""
        return self.is_clamped or self.inner.clamps

    def __call__(self, x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        """Map ``x_t`` (B, Z, *L) at level ``t`` () or (B,) to x_hat (B, Z, *L)."""
        return self._scale(self.inner(x_t * self.reach, t, **cond))

    def estimate(self, x_t: Tensor, t: Tensor, **cond: Any) -> tuple[Tensor, Tensor | None]:
        """Return x_hat, and the anomalies that the denoiser inside marks."""
        x_hat, marks = self.inner.estimate(x_t * self.reach, t, **cond)
        return self._scale(x_hat), marks

    def without_clamp(self) -> Denoiser:
        """Return the same denoiser without its clamp; itself where nothing is clamped."""
        inner = self.inner.without_clamp()
        return ScaledDenoiser(inner, self.reach, is_clamped=False) if self.is_clamped else self.wrap(inner)

    def _scale(self, x_hat: Tensor) -> Tensor:
        scaled_x_hat = x_hat / self.reach
        return scaled_x_hat.clamp(-1, 1) if self.is_clamped else scaled_x_hat


@dataclass(frozen=True)
class CodedSampler:
    r"""Runs a sampler on the codes of a scan.

    .. math:: z = E(x), \quad \hat x = D(\hat z), \quad r = D(z)

    The sampler, its denoiser and its noise know nothing of it. What it says of the scan as the same way
    rebuilds it, the reference r, is the decoded code: scores compare the twin with that or with the scan.
    The spread of several twins in codes is none in images, and is left out.

    Args:
        inner: Sampler.
        coding: The way to codes, and back.
        region: Where the twin may differ from the scan, (B, 1, *S) in [0, 1]; none leaves it to the sampler.

    Raises:
        ValueError: If a part of the sampler asks networks of images, which know no codes.

    Reference:
        High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2022), section 3.
    """

    inner: Sampler
    coding: Coding
    region: Tensor | None = None

    def __post_init__(self) -> None:
        for _, part in list_parts(self.inner):
            if isinstance(part, NeedsNetworks):
                name = type(part).__name__
                raise ValueError(f"expected a sampler without networks of images in codes, found {name}")

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
        """Restore ``x`` (B, C, *S) in [-1, 1]; ``denoiser`` and ``noise`` are those of codes."""
        coding, size = self.coding, x.shape[2:]
        z = coding.encode(x).to(x.dtype) / coding.reach
        scaled_denoiser = ScaledDenoiser(denoiser, coding.reach)
        watch = None if on_step is None else self._decode_records(on_step, size)
        steps: dict[str, Any] = {"mask": None if mask is None else coding.shrink(mask), "on_step": watch}
        inner = self.inner
        if self.region is not None:
            inner = restrict_to_region(inner, coding.spread(self.region))
        output = inner(z, scaled_denoiser, self._scale_noise(noise), generator=generator, **steps)
        return self._decode_reconstruction(output, z, x)

    def _scale_noise(self, noise: NoiseGenerator) -> NoiseGenerator:
        def draw(like: Tensor, t: Tensor | None = None, *, generator: Generators) -> Tensor:
            return noise(like, t, generator=generator) / self.coding.reach

        return draw

    def _decode(self, z: Tensor, like: Tensor) -> Tensor:
        return self.coding.decode(z * self.coding.reach, like.shape[2:]).to(like.dtype)

    def _decode_reconstruction(self, output: Reconstruction, z: Tensor, x: Tensor) -> Reconstruction:
        code = z if output.reference is None else output.reference
        image, reference = self._decode(output.image, x), self._decode(code, x)
        if self.region is not None:
            image = torch.lerp(x, image, self.region.to(x))
        maps = None if output.map is None else self.coding.enlarge(output.map, x.shape[2:])
        change = (output.image - code) * self.coding.reach
        return replace(output, image=image, std=None, map=maps, reference=reference, code_change=change)

    def _decode_records(
        self, on_step: Callable[[StepRecord], None], size: torch.Size
    ) -> Callable[[StepRecord], None]:
        """Return what hands on moves of codes as moves of images, for scores that follow them."""

        def watch(record: StepRecord) -> None:
            states = (record.x_t, record.x_hat, record.x_s)
            x_t, x_hat, x_s = (self.coding.decode(v * self.coding.reach, size).to(v.dtype) for v in states)
            maps = None if record.map is None else self.coding.enlarge(record.map, size)
            on_step(StepRecord(record.t, record.s, x_t, x_hat, x_s, maps))

        return watch
