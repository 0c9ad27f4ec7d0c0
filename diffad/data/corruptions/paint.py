"""Tissue of a lesion, painted through a soft shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffad.data.corruptions.shape import Bools, Floats, Random

DARK = 0.5
"""Share of the lesions that are darker than their surroundings: most are on T1, and few on FLAIR."""


@dataclass(frozen=True)
class Paint:
    r"""How the tissue of a lesion looks.

    Args:
        amounts: Change of each channel as a fraction of what is possible, (C,): of the local mean where it
            becomes darker (negative), of the way to 1 where brighter.
        opacity: How much of the anatomy underneath disappears, in [0, 1].
        grain: Standard deviation of the texture, as a fraction of the way to 0 or 1, the shorter of the two.
        width: Width of the grains, in voxels.
    """

    amounts: Floats
    opacity: float
    grain: float
    width: float

    @classmethod
    def draw(cls, channels: int, rng: Random, amounts: tuple[float, float] = (0.15, 0.9)) -> Paint:
        """Draw the look of a lesion; half of them change all channels alike, the others each its own way."""
        signs = np.where(rng.random(channels) < DARK, -1.0, 1.0)
        signs = np.full(channels, signs[0]) if rng.random() < 0.5 else signs
        amount = float(rng.uniform(*amounts))
        return cls(amount * signs, rng.random(), rng.uniform(0, 0.4), rng.uniform(0.5, 2.5))


def paint_tissue(
    image: Floats, weight: Floats, look: Paint, rng: Random, mean: Floats | None = None
) -> Floats:
    r"""Paint a lesion.

    .. math:: y + P \, \bigl(o (\mu - y) + \nu + g \min(\mu, 1 - \mu) n\bigr), \quad
              \nu = \begin{cases} a \mu & a < 0 \\ a (1 - \mu) & a \ge 0 \end{cases}

    with the mean :math:`\mu` of the tissue under the shape, amount :math:`a`, opacity :math:`o`, grain
    :math:`g` and smooth noise :math:`n`. Voxels with :math:`P = 0` stay bit for bit.

    Args:
        image: Image :math:`y`, (C, *S).
        weight: Soft shape :math:`P` in [0, 1], (*S).
        look: Amount, opacity and grain.
        rng: Source of the texture.
        mean: :math:`\mu`, which broadcasts to (C, *S); none for the mean weighted by :math:`P`.

    Reference:
        UNA (Liu et al., 2025), with relative amplitudes; it has opacity 0 and white noise.
    """
    column = (-1,) + (1,) * weight.ndim
    if mean is None:
        mean = (image * weight).reshape(len(image), -1).sum(1).reshape(column) / max(weight.sum(), 1e-12)
    texture = draw_grain(weight.shape, look.width, rng)
    amounts = look.amounts.reshape(column)
    least = np.minimum(mean, 1 - mean)
    change = np.where(amounts < 0, amounts * mean, amounts * (1 - mean)) + look.grain * least * texture
    change = change + look.opacity * (mean - image)
    return np.where(weight > 0, image + weight * change, image)


def draw_grain(size: tuple[int, ...], width: float, rng: Random) -> Floats:
    """Draw Gaussian noise of a width, in voxels, with standard deviation 1."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.normal(size=size), width, mode="wrap", truncate=3)
    return np.asarray(noise / max(float(noise.std()), 1e-12))


def average_tissue(image: Floats, brain: Bools, width: float) -> Floats:
    """Return the mean of the tissue around each voxel, (C, *S), by a Gaussian of a width in voxels."""
    from scipy.ndimage import gaussian_filter

    sigma = (0.0, *(width,) * brain.ndim)
    share = gaussian_filter(brain[None].astype(float), sigma, mode="constant", truncate=2)
    total = gaussian_filter(image * brain, sigma, mode="constant", truncate=2)
    return np.asarray(total / np.maximum(share, 1e-6))
