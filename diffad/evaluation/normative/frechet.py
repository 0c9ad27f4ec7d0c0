"""Distances between two sets of feature vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def frechet(a: ArrayLike, b: ArrayLike) -> float:
    r"""Return the Frechet distance of two Gaussians fitted to features.

    .. math:: d^2 = \lVert \mu_a - \mu_b \rVert^2 + \mathrm{tr}(S_a + S_b - 2 (S_a S_b)^{1/2})

    With n samples the covariance has a rank below n, and the distance of small sets is far too large. Prefer
    ``kid`` below a few hundred images.

    Args:
        a: Features of the first set, (N, D), at least two.
        b: Features of the second set, (M, D), at least two.

    Raises:
        ValueError: If the shapes do not fit, or a set has fewer than two.

    Reference:
        GANs trained by a two time-scale update rule (Heusel et al., 2017), eq. 6.
    """
    x, y = _check_features(a, b)
    gap = x.mean(0) - y.mean(0)
    cov_x, cov_y = (np.atleast_2d(np.cov(v, rowvar=False)) for v in (x, y))
    # the trace of the root of S_a S_b is the sum of the roots of the eigenvalues of S_a^1/2 S_b S_a^1/2
    root = _matrix_root(cov_x)
    overlap = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cov_y @ root), 0, None)).sum()
    return float(max(gap @ gap + np.trace(cov_x) + np.trace(cov_y) - 2 * overlap, 0.0))


def kid(a: ArrayLike, b: ArrayLike) -> float:
    r"""Return the unbiased squared maximum mean discrepancy with a cubic kernel; it may be below 0.

    .. math:: k(x, y) = (x^\top y / D + 1)^3

    Args:
        a: Features of the first set, (N, D), at least two.
        b: Features of the second set, (M, D), at least two.

    Raises:
        ValueError: If the shapes do not fit, or a set has fewer than two.

    Reference:
        Demystifying MMD GANs (Binkowski et al., 2018), section 4.
    """
    x, y = _check_features(a, b)
    similarities = [_mean_off_diagonal((v @ v.T / v.shape[1] + 1) ** 3) for v in (x, y)]
    return float(sum(similarities) - 2 * ((x @ y.T / x.shape[1] + 1) ** 3).mean())


def _mean_off_diagonal(kernel: NDArray[Any]) -> float:
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))


def _matrix_root(cov: NDArray[Any]) -> NDArray[Any]:
    values, vectors = np.linalg.eigh(cov)
    root: NDArray[Any] = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root


def _check_features(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    x, y = (np.asarray(v, dtype=np.float64) for v in (a, b))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(f"expected features (N, D) and (M, D) of two or more, got {x.shape} and {y.shape}")
    return x, y
