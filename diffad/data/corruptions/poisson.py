"""Blend a patch into an image by its gradients."""

from __future__ import annotations

import math

import numpy as np

from diffad.data.corruptions.shape import Bools, Floats


def poisson_blend(target: Floats, source: Floats, mask: Bools, mix_gradients: bool = True) -> Floats:
    r"""Solve the Poisson equation for the image with the gradients of the source inside the shape.

    .. math:: \Delta u = \operatorname{div} v, \quad u = y \text{ on the border of the box}, \quad
              v = \begin{cases} \nabla s & \text{inside (mixed: where } |\partial_a s| > |\partial_a y|
              \text{)} \\ \nabla y & \text{elsewhere} \end{cases}

    The correction :math:`u - y` vanishes on the border, so that the discrete sine transform of type I
    diagonalises the Laplacian.

    Args:
        target: Box of the image :math:`y`, (C, *box).
        source: Patch :math:`s`, (C, *box).
        mask: Where the patch counts, (*box); a gradient counts when both its ends do.
        mix_gradients: Whether the larger gradient along each axis counts, instead of that of the source.

    Reference:
        Poisson image editing (Pérez et al., 2003), eq. 4 and 12.
    """
    if min(mask.shape) < 3:
        return target.copy()
    divergence = np.zeros_like(target)
    for axis in range(mask.ndim):
        correction = _correct_gradients(target, source, mask, axis, mix_gradients)
        after, before = [[(0, 0)] * target.ndim for _ in range(2)]
        after[axis + 1], before[axis + 1] = (0, 1), (1, 0)
        divergence += np.pad(correction, after) - np.pad(correction, before)
    return target + _solve(divergence)


def _correct_gradients(target: Floats, source: Floats, mask: Bools, axis: int, mix_gradients: bool) -> Floats:
    """Return how much steeper the blended image is than the target along one axis."""
    target_step, source_step = np.diff(target, axis=axis + 1), np.diff(source, axis=axis + 1)
    count = mask.shape[axis] - 1
    both = mask.take(range(count), axis) & mask.take(range(1, count + 1), axis)
    choice = both & (np.abs(source_step) > np.abs(target_step)) if mix_gradients else both
    return np.where(choice, source_step - target_step, 0)


def _solve(divergence: Floats) -> Floats:
    """Invert the Laplacian on the inner voxels of (C, *box), zero on the border."""
    from scipy.fft import dstn, idstn

    inner = (slice(None), *(slice(1, -1),) * (divergence.ndim - 1))
    values, axes = divergence[inner], tuple(range(1, divergence.ndim))
    waves = np.ix_(*(2 * np.cos(math.pi * np.arange(1, k + 1) / (k + 1)) - 2 for k in values.shape[1:]))
    result = np.zeros_like(divergence)
    result[inner] = idstn(dstn(values, type=1, axes=axes) / sum(waves), type=1, axes=axes)
    return result
