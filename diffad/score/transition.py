"""Weights of levels: what an error of the estimated image means for one step of the chain."""

from __future__ import annotations

from diffad.schedule import Schedule

WEIGHTS = ("transition", "noise", "none")


def transition_weight(t: int, schedule: Schedule) -> float:
    r"""Return what makes a squared error of the noise one of the mean of the step from level t to t - 1.

    .. math:: w_t = \frac{\beta_t^2}{\alpha_t (1 - \bar\alpha_t)}, \quad
              |\mu(x_t, z) - \mu(x_t, \hat\epsilon)|^2 = w_t (z - \hat\epsilon)^2

    Args:
        t: Level, in 1..T.
        schedule: Amplitudes by level.

    Reference:
        Denoising Diffusion Probabilistic Models (Ho et al., 2020), eq. 11 and 12.
    """
    abar, before = float(schedule.alpha_bar(t)), float(schedule.alpha_bar(t - 1))
    alpha = abar / before
    return (1 - alpha) ** 2 / (alpha * (1 - abar))


def image_weight(t: int, schedule: Schedule, weight: str = "transition") -> float:
    r"""Return the factor of a squared error of the clean image at one level.

    .. math:: v_t = w_t \frac{\bar\alpha_t}{1 - \bar\alpha_t}, \quad
              \frac{\bar\alpha_t}{1 - \bar\alpha_t} \quad \text{or} \quad 1

    Args:
        t: Level, in 1..T.
        schedule: Amplitudes by level.
        weight: "transition", "noise" or "none".

    Raises:
        ValueError: If the level is outside 1..T.
    """
    if not 1 <= t <= schedule.num_levels:
        raise ValueError(f"expected records at levels 1..{schedule.num_levels}, got level {t}")
    if weight == "none":
        return 1.0
    snr = float(schedule.snr(t))
    return snr if weight == "noise" else snr * transition_weight(t, schedule)
