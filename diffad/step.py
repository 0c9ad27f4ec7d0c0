"""One move between any two noise levels, as a weighted sum of state, clean estimate and fresh noise."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from diffad.schedule import ColdSchedule, Schedule, StraightSchedule

VARIANCES = ("fixed_small", "fixed_large")


def renoise(x_t: Tensor, t: int, s: int, schedule: Schedule, z: Tensor) -> Tensor:
    r"""Climb from level t to a noisier level s > t.

    .. math:: x_s = \sqrt{\bar\alpha_s / \bar\alpha_t} \, x_t + \sqrt{1 - \bar\alpha_s / \bar\alpha_t} \, z

    Args:
        x_t: State at level t, (B, C, *S).
        t: Level the state is at.
        s: Level to reach, above t.
        schedule: Amplitudes by level.
        z: Unit-variance noise, (B, C, *S).

    Reference:
        RePaint (Lugmayr et al., 2022), eq. 1, taken over several levels at once.
    """
    _, _, ratio = _compute_signal(t, s, schedule)
    size, growth = _compute_sizes(t, s, schedule)
    return growth * ratio**0.5 * x_t + size * (1 - ratio) ** 0.5 * z


def ddim_step(
    x_t: Tensor, x_hat: Tensor, t: int, s: int, schedule: Schedule, z: Tensor, eta: float = 0.0
) -> Tensor:
    r"""Move from level t to level s by DDIM; upward moves re-noise.

    .. math::
        x_s = \sqrt{\bar\alpha_s} \hat x + \sqrt{1 - \bar\alpha_s - \sigma^2} \, \hat\epsilon + \sigma z,
        \quad \hat\epsilon = \frac{x_t - \sqrt{\bar\alpha_t} \hat x}{\sqrt{1 - \bar\alpha_t}}, \quad
        \sigma^2 = \eta^2 \frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}
        \left(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\right)

    Args:
        x_t: State at level t, (B, C, *S).
        x_hat: Clean image estimated at level t, (B, C, *S).
        t: Level the state is at.
        s: Level to go to; level 0 returns ``x_hat``.
        schedule: Amplitudes by level.
        z: Unit-variance noise, (B, C, *S).
        eta: Share of fresh noise in [0, 1]; 0 is deterministic, 1 is the DDPM posterior.

    Raises:
        ValueError: If t equals s.

    Reference:
        Denoising Diffusion Implicit Models (Song et al., 2021), eq. 12 and 16.
    """
    if s > t:
        return renoise(x_t, t, s, schedule, z)
    abar_t, abar_s, ratio = _compute_signal(t, s, schedule)
    variance = eta**2 * (1 - abar_s) / (1 - abar_t) * (1 - ratio)
    keep = (max(1 - abar_s - variance, 0.0) / (1 - abar_t)) ** 0.5
    size, growth = _compute_sizes(t, s, schedule)
    return size * (abar_s**0.5 - keep * abar_t**0.5) * x_hat + growth * keep * x_t + size * variance**0.5 * z


def ddpm_step(
    x_t: Tensor,
    x_hat: Tensor,
    t: int,
    s: int,
    schedule: Schedule,
    z: Tensor,
    variance: str = "fixed_small",
) -> Tensor:
    r"""Move from level t to level s by the DDPM posterior of that pair; upward moves re-noise.

    .. math::
        x_s = \frac{\sqrt{\bar\alpha_s} \beta}{1 - \bar\alpha_t} \hat x
        + \frac{\sqrt{1 - \beta} (1 - \bar\alpha_s)}{1 - \bar\alpha_t} x_t + \sigma z, \quad
        \beta = 1 - \frac{\bar\alpha_t}{\bar\alpha_s}, \quad
        \sigma^2 = \frac{1 - \bar\alpha_s}{1 - \bar\alpha_t} \beta \ \text{or} \ \beta

    Args:
        x_t: State at level t, (B, C, *S).
        x_hat: Clean image estimated at level t, (B, C, *S).
        t: Level the state is at.
        s: Level to go to; level 0 returns ``x_hat``.
        schedule: Amplitudes by level.
        z: Unit-variance noise, (B, C, *S).
        variance: "fixed_small" (the posterior) or "fixed_large" (beta, as AnoDDPM used).

    Raises:
        ValueError: If t equals s.

    Reference:
        Denoising Diffusion Probabilistic Models (Ho et al., 2020), eq. 6 and 7.
    """
    if s > t:
        return renoise(x_t, t, s, schedule, z)
    abar_t, abar_s, ratio = _compute_signal(t, s, schedule)
    beta, shrink = 1 - ratio, (1 - abar_s) / (1 - abar_t)
    spread = (shrink if variance == "fixed_small" else float(s > 0)) * beta
    size, growth = _compute_sizes(t, s, schedule)
    move = size * abar_s**0.5 * beta / (1 - abar_t) * x_hat + growth * ratio**0.5 * shrink * x_t
    return move + size * spread**0.5 * z


@dataclass(frozen=True)
class DDIM:
    """The DDIM move as a step.

    Args:
        eta: Share of fresh noise in [0, 1].

    Raises:
        ValueError: If eta is outside [0, 1].
    """

    eta: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise ValueError(f"eta must be in [0, 1], got {self.eta}")

    def draws(self, s: int) -> bool:
        """Tell whether a downward move to level ``s`` uses its noise."""
        return self.eta > 0 and s > 0

    def __call__(self, x_t: Tensor, x_hat: Tensor, t: int, s: int, schedule: Schedule, z: Tensor) -> Tensor:
        """Return x_s (B, C, *S)."""
        return ddim_step(x_t, x_hat, t, s, schedule, z, self.eta)


@dataclass(frozen=True)
class DDPM:
    """The DDPM move as a step.

    Args:
        variance: "fixed_small" or "fixed_large".

    Raises:
        ValueError: If the variance is unknown.
    """

    variance: str = "fixed_small"

    def __post_init__(self) -> None:
        if self.variance not in VARIANCES:
            raise ValueError(f"variance must be one of {VARIANCES}, got {self.variance!r}")

    def draws(self, s: int) -> bool:
        """Tell whether a downward move to level ``s`` uses its noise."""
        return s > 0

    def __call__(self, x_t: Tensor, x_hat: Tensor, t: int, s: int, schedule: Schedule, z: Tensor) -> Tensor:
        """Return x_s (B, C, *S)."""
        return ddpm_step(x_t, x_hat, t, s, schedule, z, self.variance)


class EulerFlow:
    r"""A move along a straight path, as the Euler method of flow matching.

    .. math:: x_s = x_t + \frac{s - t}{T} u, \quad u = \frac{x_t - \hat x}{t / T}

    It is DDIM without fresh noise, written for straight paths; upward moves add noise again.

    Reference:
        Flow Straight and Fast (Liu et al., 2023), eq. 3.
    """

    def draws(self, s: int) -> bool:
        """Tell whether a downward move to level ``s`` uses its noise: none does."""
        return False

    def __call__(self, x_t: Tensor, x_hat: Tensor, t: int, s: int, schedule: Schedule, z: Tensor) -> Tensor:
        """Return x_s (B, C, *S).

        Raises:
            ValueError: If the paths of the schedule are not straight, or t equals s.
        """
        if not isinstance(schedule, StraightSchedule):
            raise ValueError("step 'euler_flow' needs a network of flows (prediction_type flow)")
        return renoise(x_t, t, s, schedule, z) if s >= t else x_hat + s / t * (x_t - x_hat)


class Cold:
    r"""A move between two severities of a corruption, down or up.

    .. math:: x_s = \hat x + \frac{a_s}{a_t} (x_t - \hat x)

    Reference:
        DISYRE (Naval Marimont et al., 2024), whose four lines come to this; Cold Diffusion (Bansal et al.,
        2023), algorithm 2.
    """

    def draws(self, s: int) -> bool:
        """Tell whether a downward move to level ``s`` uses its noise: none does."""
        return False

    def __call__(self, x_t: Tensor, x_hat: Tensor, t: int, s: int, schedule: Schedule, z: Tensor) -> Tensor:
        """Return x_s (B, C, *S).

        Raises:
            ValueError: If the levels of the schedule are no severities, or t equals s.
        """
        if not isinstance(schedule, ColdSchedule):
            raise ValueError("step 'cold' needs a network of cold diffusion (prediction_type cold)")
        if t == s:
            raise ValueError(f"a step goes to another level, got t = s = {t}")
        a = schedule.severities
        return x_hat + float(a[s] / a[t]) * (x_t - x_hat)


def _compute_signal(t: int, s: int, schedule: Schedule) -> tuple[float, float, float]:
    """Return abar_t, abar_s and the noisier over the cleaner, in float64."""
    if t == s:
        raise ValueError(f"a step goes to another level, got t = s = {t}")
    abar_t, abar_s = float(schedule.alpha_bar(t)), float(schedule.alpha_bar(s))
    return abar_t, abar_s, min(abar_t, abar_s) / max(abar_t, abar_s)


def _compute_sizes(t: int, s: int, schedule: Schedule) -> tuple[float, float]:
    """Return the size of states at level s, and how much larger it is than that at level t."""
    size_t, size_s = float(schedule.size(t)), float(schedule.size(s))
    return size_s, size_s / size_t
