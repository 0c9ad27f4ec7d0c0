"""Chains that go down together: edited ones, and the reconstruction that they are fused with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from diffad.protocols import Denoiser, NoiseGenerator
from diffad.samplers.base import as_level
from diffad.samplers.blend import mix
from diffad.step import DDIM, DDPM
from diffad.types import StepRecord

OnStep = Callable[[StepRecord], None]


@dataclass(frozen=True)
class FusedChains:
    r"""Moves edited chains :math:`u_1 \dots u_k` and the reconstruction :math:`r` by one level.

    .. math:: u_s = M \, \mathrm{DDPM}(u_t) + (1 - M) \, r_s, \quad r_s = \mathrm{DDIM}(r_t)

    Args:
        denoiser: What edits; the reconstruction goes without its guidance.
        noise: Unit noise of the edited chains.
        move: Their stochastic move.
        region: Where they are edited, :math:`M`, (B, 1 or C, *S), in [0, 1].
        generators: One for each chain of each item, "(k b)".
        clip: Clamp the estimates of the edited chains to [-1, 1].
        clip_reconstruction: Clamp those of the reconstruction, too, as published.

    Reference:
        Diffusion Models for Counterfactual Generation and Anomaly Detection in Brain Images (Fontanella et
        al., 2024).
    """

    denoiser: Denoiser
    noise: NoiseGenerator
    move: DDPM
    region: Tensor
    generators: Sequence[torch.Generator]
    clip: bool = True
    clip_reconstruction: bool = False

    def move_chains(
        self, u: Tensor, r: Tensor, t: int, s: int, on_step: OnStep | None = None
    ) -> tuple[Tensor, Tensor]:
        """Move u (k, B, C, *S) and r (B, C, *S) from level t down to level s."""
        schedule = self.denoiser.schedule
        u_hat, r_hat = self._estimate_both(u, r, t)
        r_s = DDIM()(r, r_hat, t, s, schedule, torch.zeros_like(r))
        u_s = mix(r_s, self.move(u, u_hat, t, s, schedule, self._draw_noise(u, t, s)), self.region)
        if on_step is not None:
            for x_t, x_hat, x_s in zip(u, u_hat, u_s, strict=True):
                on_step(StepRecord(t, s, x_t, x_hat, x_s))
        return u_s, r_s

    def _estimate_both(self, u: Tensor, r: Tensor, t: int) -> tuple[Tensor, Tensor]:
        """Estimate the clean images of all chains in one batch, or in two where a guidance steers."""
        level, plain_denoiser = as_level(t, r), self.denoiser.without_guidance()
        edited_states, batch = rearrange(u, "k b ... -> (k b) ..."), len(r)
        if plain_denoiser is self.denoiser:
            x_hats = plain_denoiser.without_clamp()(torch.cat([edited_states, r]), level)
            u_hat, r_hat = x_hats[:-batch], x_hats[-batch:]
        else:
            u_hat = self.denoiser.without_clamp()(edited_states, level)
            r_hat = plain_denoiser.without_clamp()(r, level)
        u_hat = rearrange(u_hat, "(k b) ... -> k b ...", b=batch)
        r_hat = r_hat.clamp(-1, 1) if self.clip_reconstruction else r_hat
        return u_hat.clamp(-1, 1) if self.clip else u_hat, r_hat

    def _draw_noise(self, u: Tensor, t: int, s: int) -> Tensor:
        """Draw noise where the move uses it: fields of structured noise are dear."""
        if not self.move.draws(s):
            return torch.zeros_like(u)
        states = rearrange(u, "k b ... -> (k b) ...")
        z = self.noise(states, as_level(t, u), generator=self.generators)
        return rearrange(z, "(k b) ... -> k b ...", k=len(u))
