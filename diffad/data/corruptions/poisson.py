"""Blend a patch into an image by its gradients."""

from __future__ import annotations

import math

import numpy as np

from diffad.data.corruptions.shape import Bools, Floats


def poisson_blend(target: Floats, source: Floats, inside: Bools, mixed: bool = True) -> Floats:
    r"""Solve the Poisson equation for the image whose gradients are the source's inside the shape.

    .. math:: \Delta u = \operatorname{div} v, \quad u = y \text{ on the border of the box}, \quad
              v = \begin{cases} \nabla s & \text{inside (mixed: where } |\partial_a s| > |\partial_a y|
              \text{)} \\ \nabla y & \text{elsewhere} \end{cases}

    The correction :math:`u - y` vanishes on the border, so that the discrete sine transform of type I
    diagonalises the Laplacian.

    Args:
        target: Box of the image :math:`y`, (C, *box).
        source: Patch :math:`s`, (C, *box).
        inside: Where the patch counts, (*box); a gradient counts when both its ends do.
        mixed: Take the larger gradient along each axis instead of the source's.

    Reference:
        Poisson image editing (Pérez et al., 2003), eq. 4 and 12.
    """
    if min(inside.shape) < 3:
        return target.copy()
    divergence = np.zeros_like(target)
    for axis in range(inside.ndim):
        extra = _extra(target, source, inside, axis, mixed)
        ahead, behind = [[(0, 0)] * target.ndim for _ in range(2)]
        ahead[axis + 1], behind[axis + 1] = (0, 1), (1, 0)
        divergence += np.pad(extra, ahead) - np.pad(extra, behind)
    return target + _solve(divergence)


def _extra(target: Floats, source: Floats, inside: Bools, axis: int, mixed: bool) -> Floats:
    """How much steeper the wanted image is than the target along one axis."""
    kept, wanted = np.diff(target, axis=axis + 1), np.diff(source, axis=axis + 1)
    count = inside.shape[axis] - 1
    both = inside.take(range(count), axis) & inside.take(range(1, count + 1), axis)
    chosen = both & (np.abs(wanted) > np.abs(kept)) if mixed else both
    return np.where(chosen, wanted - kept, 0)


def _solve(divergence: Floats) -> Floats:
    """Invert the Laplacian on the inner voxels of (C, *box), zero on the border."""
    from scipy.fft import dstn, idstn

    inner = (slice(None), *(slice(1, -1),) * (divergence.ndim - 1))
    part, axes = divergence[inner], tuple(range(1, divergence.ndim))
    waves = np.ix_(*(2 * np.cos(math.pi * np.arange(1, k + 1) / (k + 1)) - 2 for k in part.shape[1:]))
    result = np.zeros_like(divergence)
    result[inner] = idstn(dstn(part, type=1, axes=axes) / sum(waves), type=1, axes=axes)
    return result
