"""One number out of the components: our proposals, as the published formulas are not part of the release."""

from __future__ import annotations

import math

from diffad.evaluation.normative.components import Conservation, Healthiness, RestorationQuality


def rqi_proposed(quality: RestorationQuality, how: str = "difference") -> float:
    r"""Return how faithfully healthy scans are restored, in [0, 1]; ours, not the published index.

    .. math:: \text{difference: } \mathrm{clip}(SSIM - LPIPS - MAE), \quad
        \text{product: } SSIM \, (1 - LPIPS) \, (1 - MAE)

    The difference can reach the low values that are reported for blurry models, the product cannot.

    Args:
        quality: Components; where LPIPS is NaN, so is the index.
        how: "difference" or "product".

    Raises:
        ValueError: If ``how`` is neither.
    """
    if how not in ("difference", "product"):
        raise ValueError(f"expected 'difference' or 'product', got {how!r}")
    if how == "difference":
        return _clip(quality.ssim - quality.lpips - quality.mae)
    return _clip(quality.ssim) * _clip(1 - quality.lpips) * _clip(1 - quality.mae)


def ahi_proposed(healthiness: Healthiness, floor: bool = False) -> float:
    r"""Return how much nearer twins are to healthy scans than their scans, in [0, 1]; ours.

    .. math:: \mathrm{clip}\left(1 - \frac{FD(RP; N)}{FD(P; N)}\right) \text{ or, with the floor, }
        \mathrm{clip}\left(\frac{FD(P; N) - FD(RP; N)}{FD(P; N) - FD(UN; N)}\right)

    Args:
        healthiness: Components.
        floor: Take unseen normals for as near as anything can be; NaN where the scans are nearer already.
    """
    gain = healthiness.fd_pathological - healthiness.fd_restored
    room = healthiness.fd_pathological - (healthiness.fd_unseen if floor else 0.0)
    return _clip(gain / room) if room > 0 else math.nan


def caci_proposed(conservation: Conservation, by: str = "lpips") -> float:
    r"""Return whether healthy tissue stays and the anomaly changes, in [0, 1]; ours.

    .. math:: H(1 - LPIPS_h, \min(1, LPIPS_{an})) \text{ or } H(SSIM_h, 1 - SSIM_{an})

    The harmonic mean is 0 for a twin that changes nothing and for one that changes everything.

    Args:
        conservation: Components; where those of ``by`` are NaN, so is the index.
        by: "lpips" or "ssim"; the two are different indices and must not be mixed in a table.

    Raises:
        ValueError: If ``by`` is neither.
    """
    if by not in ("lpips", "ssim"):
        raise ValueError(f"expected 'lpips' or 'ssim', got {by!r}")
    if by == "ssim":
        return harmonic(_clip(conservation.ssim_h), _clip(1 - conservation.ssim_an))
    return harmonic(_clip(1 - conservation.lpips_h), _clip(conservation.lpips_an))


def combine_scores(rqi: float, ahi: float, caci: float) -> float:
    r"""Return the score methods are ranked by in the published figures.

    .. math:: S = \frac{H(RQI, CACI) + AHI}{2}
    """
    return (harmonic(rqi, caci) + ahi) / 2


def harmonic(a: float, b: float) -> float:
    """Return the harmonic mean of two numbers that are not negative; 0 where either is."""
    return 2 * a * b / (a + b) if a + b else 0.0


def _clip(value: float) -> float:
    return value if math.isnan(value) else min(max(value, 0.0), 1.0)
