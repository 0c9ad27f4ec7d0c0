"""Fusion: a stochastic chain rewrites a salient region, and a deterministic one keeps all the rest."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import torch
from einops import reduce, repeat
from torch import Tensor

from diffad.capabilities import begin_saliency
from diffad.data.space import to_public
from diffad.denoise import as_denoiser
from diffad.protocols import Denoiser, NoiseGenerator, Saliency
from diffad.registry import SALIENCIES, SAMPLERS
from diffad.samplers.base import check_call, level_option, noise_to_level
from diffad.samplers.fused import FusedChains
from diffad.samplers.inversion import Inversion
from diffad.samplers.moments import RunningMoments
from diffad.samplers.morphology import width_option
from diffad.samplers.region import check_share, keep_in_bytes, select_region
from diffad.samplers.streams import SeedStreams
from diffad.step import DDPM
from diffad.types import Generators, Reconstruction, StepRecord

OnStep = Callable[[StepRecord], None]
STARTS = ("inversion", "noise")
START, SALIENCY, MEMBER = range(3)
"""Streams of an item: noise of the start, of the saliency, and of each member."""


@SAMPLERS.register("fusion")
class Fusion:
    r"""Rewrites a region from a code of the scan, fused at every level with the scan's own reconstruction.

    .. math:: u_s = M \, \mathrm{DDPM}(u_t) + (1 - M) \, r_s, \quad r_s = \mathrm{DDIM}(r_t), \quad
              u_L = r_L = \mathrm{encode}(x)

    The reconstruction :math:`r` never sees :math:`u`, nor a guidance; it is what the edit :math:`u` is to be
    compared with, and equals it outside the region :math:`M`: the salient share of the brain, or the
    one of ``restricted_to``, where 0 < M < 1 blends. All chains of a level are one batch, "(k b)".

    Args:
        level: Level :math:`L` of the code, in 1..T.
        steps: Moves in each direction, evenly spaced; one per level when absent.
        saliency: Saliency, as a mapping of its ``name`` and options, or ready; none waits for a region.
        share: Share of the voxels that is salient, in (0, 1).
        dilate: Odd width by which the region grows, in voxels.
        per_channel: Let each channel have its own region.
        members: Draws of :math:`u`, of which the reconstruction is the mean.
        variance: "fixed_small" or "fixed_large", of the stochastic moves.
        start: "inversion", or "noise" for a noised scan in place of its code.
        refine: Fixed-point iterations of each move of the inversion.
        clip: Clamp the estimates of :math:`u` to [-1, 1]; those of :math:`r` never are.
        reference: Go as the published code does: levels as in ``Inversion``, but from a scan without noise;
            the estimates of :math:`r` and of the code are clamped, too; the saliency is kept in 8 bits, and
            its quantile and the region are those of the whole image, not of the brain.

    Raises:
        TypeError: If an option has a wrong type.
        ValueError: If an option is out of range, the saliency has no name, or ``reference`` does not allow
            an option.

    Reference:
        Diffusion Models for Counterfactual Generation and Anomaly Detection in Brain Images (Fontanella et
        al., 2024).
    """

    def __init__(
        self,
        level: int = 500,
        steps: int | None = None,
        saliency: Mapping[str, Any] | Saliency | None = None,
        share: float = 0.1,
        dilate: int = 5,
        per_channel: bool = False,
        members: int = 1,
        variance: str = "fixed_small",
        start: str = "inversion",
        refine: int = 0,
        clip: bool = True,
        reference: bool = False,
    ) -> None:
        if start not in STARTS:
            raise ValueError(f"start must be one of {STARTS}, got {start!r}")
        if refine and start == "noise":
            raise ValueError(f"refine belongs to start 'inversion', got {refine} with start 'noise'")
        if reference and (start != "inversion" or not clip):
            raise ValueError(f"reference expected start 'inversion' and clip, got {start!r} and {clip}")
        self._code, self._move = Inversion(level, steps, refine, reference), DDPM(variance)
        self.reference = reference
        self.level, self.steps, self.refine, self.start = level, steps, refine, start
        self.share, self.dilate, self.per_channel = check_share(share), width_option(dilate), per_channel
        self.members, self.variance, self.clip = level_option("members", members), variance, clip
        self.saliency, self._saliency = saliency, SALIENCIES.ready(saliency)
        self._region: Tensor | None = None

    @property
    def children(self) -> Mapping[str, Saliency]:
        """The saliency, where there is one."""
        return {} if self._saliency is None else {"saliency": self._saliency}

    def restricted_to(self, region: Tensor) -> Fusion:
        """Return the same sampler that rewrites ``region`` (B, 1, *S) in [0, 1], whatever is salient."""
        sampler = copy.copy(self)
        sampler._region = region
        return sampler

    @torch.no_grad()
    def __call__(
        self,
        x: Tensor,
        denoiser: Denoiser,
        noise: NoiseGenerator,
        *,
        generator: Generators,
        mask: Tensor | None = None,
        on_step: OnStep | None = None,
    ) -> Reconstruction:
        """Restore ``x`` (B, C, *S) in [-1, 1]; ``mask`` (B, 1, *S) is the brain, where the region lies.

        Raises:
            TypeError: If the image is not floating point.
            ValueError: If a shape or the level does not fit, or there is neither a saliency nor a region.
        """
        check_call(x, denoiser, self._code.highest, generator)
        streams = SeedStreams.draw(generator, len(x))
        region = self._find_region(x, denoiser, noise, streams, mask)
        generators = [g for k in range(self.members) for g in streams.make_generators(MEMBER, k)]
        clips = self.clip, self.reference
        chains = FusedChains(as_denoiser(denoiser), noise, self._move, region, generators, *clips)
        r = self._start_chains(x, denoiser, noise, streams)
        u = repeat(r, "b ... -> k b ...", k=self.members)
        for t, s in pairwise(self._code.levels):
            u, r = chains.move_chains(u, r, t, s, on_step)
        edits = RunningMoments()
        for edit in u:
            edits.add(edit)
        return _summarise(edits, r, region, self._nfe)

    @property
    def _nfe(self) -> int:
        moves = len(self._code.levels) - 1
        return (self._code.cost if self.start == "inversion" else 0) + moves * (self.members + 1)

    def _start_chains(
        self, x: Tensor, denoiser: Denoiser, noise: NoiseGenerator, streams: SeedStreams
    ) -> Tensor:
        if self.start == "inversion":
            return self._code.encode(x, denoiser)
        return noise_to_level(x, self.level, denoiser, noise, streams.make_generators(START))

    def _find_region(
        self, x: Tensor, denoiser: Denoiser, noise: NoiseGenerator, streams: SeedStreams, brain: Tensor | None
    ) -> Tensor:
        """Return where u is rewritten, (B, 1 or C, *S), in the precision of ``x``."""
        if self._region is not None:
            return _check_region(self._region, x)
        if self._saliency is None:
            raise ValueError("expected a saliency or a region to rewrite, got neither: give option saliency")
        saliency = begin_saliency(self._saliency, denoiser, noise, streams.make_generators(SALIENCY))
        brain = None if self.reference else brain
        saliency_map = saliency(to_public(x), brain)
        saliency_map = keep_in_bytes(saliency_map) if self.reference else saliency_map
        return select_region(saliency_map, self.share, self.dilate, brain, self.per_channel).to(x)


def _summarise(edits: RunningMoments, r: Tensor, region: Tensor, nfe: int) -> Reconstruction:
    """Return mean and spread of the edits, free of rounding errors where they all equal r."""
    std = None if edits.std is None else edits.std.masked_fill(region == 0, 0)
    edited_region = reduce(region, "b c ... -> b 1 ...", "max")
    return Reconstruction(edits.mean.where(region > 0, r), nfe, std=std, map=edited_region, reference=r)


def _check_region(region: Tensor, x: Tensor) -> Tensor:
    """Return a region from outside in the precision of ``x``."""
    if region.shape not in ((len(x), 1, *x.shape[2:]), x.shape):
        shape = (len(x), 1, *x.shape[2:])
        raise ValueError(f"expected region of shape {shape}, got {tuple(region.shape)}")
    region = region.to(x)
    if not ((region >= 0) & (region <= 1)).all():
        raise ValueError(f"expected region in [0, 1], got {float(region.min())} to {float(region.max())}")
    return region
