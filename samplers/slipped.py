"""Levels as published code of inversion has them: those of the two ways are two apart."""

from __future__ import annotations

import torch
from torch import Tensor

from diffad.protocols import Denoiser
from diffad.samplers.base import as_level


def list_slipped_levels(level: int) -> list[int]:
    """List the levels back from a code of ``level`` + 1, which is taken for one of ``level`` - 1."""
    return list(range(level - 1, -1, -1))


def check_reference(level: int, **options: object) -> None:
    """Refuse what the published code has not.

    Args:
        level: Level of the code, of which there must be one below.
        options: Options by name; none where they are not given.

    Raises:
        ValueError: If an option is given, or the level is too low.
    """
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ValueError(
            f"reference moves level by level as published, expected no {' nor '.join(given)}, got some"
        )
    if level < 2:
        raise ValueError(f"reference expected a level of at least 2, got {level}")


@torch.no_grad()
def climb_slipped(x: Tensor, denoiser: Denoiser, level: int) -> Tensor:
    r"""Return the code of ``x`` (B, C, *S) in [-1, 1], which is taken for a state of level 2.

    .. math:: x_{t+1} = \alpha_{t+1} \hat x + \sigma_{t+1} \frac{x_t - \alpha_t \hat x}{\sigma_t}, \quad
              \hat x = \hat x(x_t, t), \quad t = 2, \dots, L

    Args:
        x: Images.
        denoiser: What is asked, with its clamp, by which the noise is found, too.
        level: Level :math:`L`; the code is one of level L + 1.

    Reference:
        The code of Diffusion Models for Medical Anomaly Detection (Wolleb et al., 2022).
    """
    x_t = float(denoiser.schedule.size(2)) * x
    for t in range(2, level + 1):
        x_t = _move_up(x_t, denoiser(x_t, as_level(t, x)), t, denoiser)
    return x_t


def _move_up(x_t: Tensor, x_hat: Tensor, t: int, denoiser: Denoiser) -> Tensor:
    """Move from level t to t + 1 along the noise that the state holds beside the estimate."""
    (abar_t, size_t), (abar_u, size_u) = (
        (float(denoiser.schedule.alpha_bar(level)), float(denoiser.schedule.size(level)))
        for level in (t, t + 1)
    )
    growth = ((1 - abar_u) / (1 - abar_t)) ** 0.5
    return size_u * ((abar_u**0.5 - growth * abar_t**0.5) * x_hat + growth * x_t / size_t)
