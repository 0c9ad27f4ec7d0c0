"""Components of three indices: healthy scans restored, sets of scans, tissue kept and changed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffad.evaluation.metrics.fidelity import ssim_map
from diffad.evaluation.metrics.ranking import check_binary, check_same_shape
from diffad.evaluation.normative.frechet import frechet, kid

Perceptual = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
"""A perceptual distance: scan and twin (*S) in [0, 1] to a map (*S), 0 where they look alike."""
BORDER = 3
"""Voxels of the border that the published similarity leaves out: half its window."""


@dataclass(frozen=True)
class RestorationQuality:
    """How one healthy scan was restored.

    Args:
        mae: Mean absolute error over all voxels.
        ssim: Mean structural similarity, without the border.
        lpips: Mean perceptual distance of scan and twin; NaN where no distance was given.
    """

    mae: float
    ssim: float
    lpips: float


def measure_restoration(
    image: ArrayLike, twin: ArrayLike, perceptual: Perceptual | None = None
) -> RestorationQuality:
    """Measure a restored healthy scan; the background counts, as published.

    The published file compares with a black image by mistake; here scan and twin are compared.

    Args:
        image: Healthy scan, (*S), in [0, 1], each axis at least 7 voxels.
        twin: Its twin, (*S), in [0, 1].
        perceptual: Perceptual distance, or none.

    Raises:
        ValueError: If the shapes differ or an axis is too short.

    Reference:
        Evaluating normative representation learning (Bercea et al., Nat Commun 16:1624, 2025).
    """
    x, y = (np.asarray(v, dtype=np.float64) for v in (image, twin))
    inner = (slice(BORDER, -BORDER),) * x.ndim
    similarity = float(ssim_map(x, y)[inner].mean())
    distance = math.nan if perceptual is None else float(np.mean(perceptual(x, y)))
    return RestorationQuality(float(np.abs(x - y).mean()), similarity, distance)


@dataclass(frozen=True)
class Healthiness:
    """How far sets of scans are from the training normals N, by Frechet distance and by unbiased MMD.

    Args:
        fd_unseen: Of unseen normals.
        fd_pathological: Of pathological scans.
        fd_restored: Of their twins.
        kid_unseen: As ``fd_unseen``, by MMD.
        kid_pathological: As ``fd_pathological``, alike.
        kid_restored: As ``fd_restored``, alike.
    """

    fd_unseen: float
    fd_pathological: float
    fd_restored: float
    kid_unseen: float
    kid_pathological: float
    kid_restored: float


def measure_healthiness(
    normals: ArrayLike, unseen: ArrayLike, pathological: ArrayLike, restored: ArrayLike
) -> Healthiness:
    """Measure whether twins of pathological scans come nearer to healthy ones.

    Args:
        normals: Features of the training normals, (N, D).
        unseen: Features of unseen normals, (M, D).
        pathological: Features of pathological scans, (K, D).
        restored: Features of their twins, (K, D).

    Raises:
        ValueError: If the shapes do not fit, or a set has fewer than two.
    """
    sets = (unseen, pathological, restored)
    return Healthiness(*(frechet(v, normals) for v in sets), *(kid(v, normals) for v in sets))


@dataclass(frozen=True)
class Conservation:
    """What a twin keeps (h: healthy tissue) and what it changes (an: the anomaly).

    Args:
        mse_h: Mean squared change of healthy tissue.
        mse_an: Mean squared change of the anomaly.
        ssim_h: Structural similarity in healthy tissue.
        ssim_an: Structural similarity in the anomaly.
        lpips_h: Perceptual change of healthy tissue; NaN where no distance was given.
        lpips_an: Perceptual change of the anomaly, alike.
    """

    mse_h: float
    mse_an: float
    ssim_h: float
    ssim_an: float
    lpips_h: float
    lpips_an: float


def measure_conservation(
    image: ArrayLike,
    twin: ArrayLike,
    healthy: ArrayLike,
    anomaly: ArrayLike,
    perceptual: Perceptual | None = None,
) -> Conservation:
    """Measure what a twin keeps and what it changes in one pathological scan.

    The published code reads zeros of a map as "not there", so that what stays exactly as it was drops out
    of its means; here every voxel of a mask counts.

    Args:
        image: Scan, (*S), in [0, 1].
        twin: Its twin, (*S), in [0, 1].
        healthy: Healthy tissue, (*S), 0 or 1.
        anomaly: Annotated anomaly, (*S), 0 or 1.
        perceptual: Perceptual distance, or none.

    Raises:
        ValueError: If shapes differ, a mask has other values, or is empty.
    """
    x, y = (np.asarray(v, dtype=np.float64) for v in (image, twin))
    masks = [_check_mask(name, v, x) for name, v in (("healthy", healthy), ("anomaly", anomaly))]
    similarity = ssim_map(x, y)
    distance = np.full(x.shape, math.nan) if perceptual is None else np.asarray(perceptual(x, y))
    means = [float(v[m].mean()) for v in (np.square(x - y), similarity, distance) for m in masks]
    return Conservation(*means)


def _check_mask(name: str, values: ArrayLike, like: NDArray[Any]) -> NDArray[np.bool_]:
    mask = check_binary(name, values)
    check_same_shape("image", like, name, mask)
    if not mask.any():
        raise ValueError(f"expected a mask {name} with at least one voxel, got an empty one")
    return mask
