r"""How much of the scan and how much noise each level holds: x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) z.

Or, on a straight path, x_t = (1 - t/T) x_0 + (t/T) z, and in cold diffusion x_t = (1 - a_t) x_0 + a_t x_T.
"""

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
        """Take the levels of a diffusers scheduler; one of flow matching gives straight paths.

        One whose ``prediction_type`` is "cold" gives severities of a corruption, see ``ColdSchedule``.

        Raises:
            ValueError: If its paths are straight, but its levels are not evenly spaced, or go the other way.
        """
        if hasattr(scheduler, "alphas_cumprod"):
            table = scheduler.alphas_cumprod.double()
            return ColdSchedule.of(table) if scheduler.config.prediction_type == "cold" else cls(table)
        if scheduler.config.get("invert_sigmas"):
            raise ValueError("expected a flow whose last level is noise, found the reverse (invert_sigmas)")
        return StraightSchedule.from_sigmas(scheduler.sigmas[: scheduler.config.num_train_timesteps])

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
        """Return the shares of scan and noise at levels ``t``, broadcastable over ``like`` (B, C, *S)."""
        abar, size = self.alpha_bar(t), self.size(t)
        return _shape_like(size * abar.sqrt(), like), _shape_like(size * (1 - abar).sqrt(), like)

    def size(self, t: Tensor | int) -> Tensor:
        r"""Return :math:`\sqrt{a_t^2 + s_t^2}` of the two shares, float64, shaped like ``t``; 1 in diffusion.

        A state of size 1 is one of diffusion, so that every move between levels holds for it.
        """
        return torch.ones_like(self.alpha_bar(t))

    def add_noise(self, x: Tensor, z: Tensor, t: Tensor | int) -> Tensor:
        """Return x_t (B, C, *S) from the clean ``x`` and noise ``z`` (B, C, *S)."""
        alpha, sigma = self.amplitudes(t, x)
        return alpha * x + sigma * z

    def snr(self, t: Tensor | int) -> Tensor:
        """Return the signal-to-noise ratio abar_t / (1 - abar_t)."""
        abar = self.alpha_bar(t)
        return abar / (1 - abar)


@dataclass(frozen=True)
class StraightSchedule(Schedule):
    r"""Levels on straight paths from the scan to the noise, as of rectified flows.

    .. math:: x_t = (1 - \tau) x_0 + \tau z, \quad \tau = t / T, \quad
              \bar\alpha_t = \frac{(1 - \tau)^2}{(1 - \tau)^2 + \tau^2}

    Args:
        alphas_cumprod: abar of the states brought to size 1, at levels 1..T, (T,); 0 at the last.

    Reference:
        Flow Straight and Fast (Liu et al., 2023), eq. 1.
    """

    @classmethod
    def of(cls, num_levels: int) -> StraightSchedule:
        """Return the schedule of so many levels."""
        tau = torch.arange(1, num_levels + 1, dtype=torch.float64) / num_levels
        return cls((1 - tau) ** 2 / ((1 - tau) ** 2 + tau**2))

    @classmethod
    def from_sigmas(cls, sigmas: Tensor) -> StraightSchedule:
        """Take the noise shares of a flow matching scheduler of diffusers, (T,), falling from 1.

        Raises:
            ValueError: If they are not evenly spaced.
        """
        even = torch.arange(len(sigmas), 0, -1) / len(sigmas)
        if not torch.allclose(sigmas.float(), even, atol=1e-6):
            raise ValueError("expected evenly spaced levels of a flow (shift 1), found others")
        return cls.of(len(sigmas))

    def size(self, t: Tensor | int) -> Tensor:
        """Return the size of states at levels ``t``, in float64 and of their shape."""
        abar = self.alpha_bar(t)
        tau = torch.as_tensor(t).to(abar.device).double() / self.num_levels
        return ((1 - tau) ** 2 + tau**2).sqrt()


@dataclass(frozen=True)
class ColdSchedule(Schedule):
    r"""Severities of a corruption in the place of noise, which rise from next to nothing to all of it.

    .. math:: x_t = (1 - a_t) x_0 + a_t x_T, \quad a_t = \sqrt{\bar\alpha_{T + 1 - t}}, \quad a_0 = 0

    with the :math:`\bar\alpha` of a diffusion, read from its end: level T is the fully corrupted image.

    Args:
        alphas_cumprod: abar of the states brought to size 1, at levels 1..T, (T,).

    Reference:
        DISYRE (Naval Marimont et al., 2024), whose code turns the severities over, but not the labels that
        its network is told; here there is one direction. Cold Diffusion (Bansal et al., 2023).
    """

    @classmethod
    def of(cls, alphas_cumprod: Tensor) -> ColdSchedule:
        """Return the schedule of a diffusion with these abar at its levels 1..T, (T,), falling."""
        a = alphas_cumprod.double().sqrt().flip(0)
        return cls((1 - a) ** 2 / ((1 - a) ** 2 + a**2))

    @property
    def severities(self) -> Tensor:
        """Severity a_t at levels 0..T, (T + 1,), rising from 0."""
        odds = (1 / self.alphas_cumprod - 1).sqrt()
        return torch.cat([odds.new_zeros(1), odds / (1 + odds)])

    def size(self, t: Tensor | int) -> Tensor:
        """Return the size of states at levels ``t``, in float64 and of their shape."""
        abar = self.alpha_bar(t)
        return 1 / (abar.sqrt() + (1 - abar).sqrt())

    def find_level(self, severity: Tensor) -> Tensor:
        """Return the level, 1..T, whose severity is nearest to each of ``severity`` (B,)."""
        distance = severity.double()[:, None] - self.severities[1:].to(severity.device)
        return distance.abs().argmin(1) + 1


def find_prediction(scheduler: Any) -> str:
    """Return what a network with this diffusers scheduler predicts; one of flow matching stores nothing."""
    return str(scheduler.config.prediction_type) if hasattr(scheduler, "alphas_cumprod") else "flow"


def _shape_like(share: Tensor, like: Tensor) -> Tensor:
    share = share.cpu() if like.device.type == "mps" else share.to(like.device)
    share = share.reshape(share.shape + (1,) * (like.ndim - share.ndim)) if share.ndim else share
    return share.to(like.dtype).to(like.device)
