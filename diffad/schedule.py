r"""How much of the scan and how much noise each level holds: x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) z."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Schedule:
    r"""Noise levels 0..T, where level 0 is clean and level t is diffusers index t - 1.

    Args:
        alphas_cumprod: abar at levels 1..T, (T,), decreasing, in (0, 1).

    Reference:
        Denoising Diffusion Probabilistic Models (Ho et al., 2020), eq. 4.
    """

    alphas_cumprod: Tensor

    @classmethod
    def from_diffusers(cls, scheduler: Any) -> Schedule:
        """Take the table of a diffusers scheduler."""
        return cls(scheduler.alphas_cumprod.double())

    @classmethod
    def linear(cls) -> Schedule:
        """Return the linear schedule of DDPM with 1000 levels (Ho et al., 2020, section 4)."""
        return cls((1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)).cumprod(0))

    @property
    def num_levels(self) -> int:
        """Highest level T."""
        return len(self.alphas_cumprod)

    def alpha_bar(self, t: Tensor | int) -> Tensor:
        """Return abar_t in float64, shaped like ``t``; on the CPU where its device has no float64.

        Raises:
            ValueError: If a level is outside 0..T.
        """
        t = torch.as_tensor(t)
        if t.numel() and (int(t.min()) < 0 or int(t.max()) > self.num_levels):
            raise ValueError(f"levels must be in 0..{self.num_levels}, got {t.tolist()}")
        table = torch.cat([self.alphas_cumprod.new_ones(1), self.alphas_cumprod])
        t = t.cpu() if t.device.type == "mps" else t
        return table.to(t.device)[t]

    def amplitudes(self, t: Tensor | int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return (sqrt(abar_t), sqrt(1 - abar_t)), each broadcastable over ``like`` (B, C, *S)."""
        abar = self.alpha_bar(t)
        abar = abar.cpu() if like.device.type == "mps" else abar.to(like.device)
        abar = abar.reshape(abar.shape + (1,) * (like.ndim - abar.ndim)) if abar.ndim else abar
        return abar.sqrt().to(like.dtype).to(like.device), (1 - abar).sqrt().to(like.dtype).to(like.device)

    def add_noise(self, x: Tensor, z: Tensor, t: Tensor | int) -> Tensor:
        """Return x_t (B, C, *S) from the clean ``x`` and noise ``z`` (B, C, *S)."""
        alpha, sigma = self.amplitudes(t, x)
        return alpha * x + sigma * z

    def snr(self, t: Tensor | int) -> Tensor:
        """Return the signal-to-noise ratio abar_t / (1 - abar_t)."""
        abar = self.alpha_bar(t)
        return abar / (1 - abar)
