"""Scan against twin, by hand and by scikit-image."""

import math

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from diffad.evaluation import mae, psnr, ssim
from diffad.evaluation.metrics.fidelity import ssim_map


@pytest.mark.parametrize("shape", [(24, 31), (12, 15, 9)])
def test_similarity_is_that_of_scikit_image(shape):
    rng = np.random.default_rng(0)
    x, y = rng.random(shape), rng.random(shape)
    mean, full = structural_similarity(x, y, data_range=1, full=True)
    assert ssim_map(x, y) == pytest.approx(full)
    inside = np.zeros(shape, bool)
    inside[tuple(slice(3, -3) for _ in shape)] = True
    assert ssim(x, y, inside) == pytest.approx(mean)


def test_fidelity_by_hand():
    x, y = np.full((8, 8), 0.5), np.zeros((8, 8))
    assert mae(x, y) == 0.5
    assert psnr(x, y) == pytest.approx(10 * math.log10(4))
    assert psnr(x, x) == math.inf
    assert ssim(x, x) == 1
    assert ssim(x, y) == pytest.approx(1e-4 / (0.25 + 1e-4))
    inside = np.zeros((8, 8), bool)
    with pytest.raises(ValueError, match="empty"):
        mae(x, y, inside)


def test_only_what_is_inside_counts():
    x, y, inside = np.zeros((8, 8)), np.zeros((8, 8)), np.zeros((8, 8))
    y[0] = 1.0
    inside[1:] = 1
    assert mae(x, y, inside) == 0
    assert psnr(x, y, inside) == math.inf
    assert mae(x, y) == 1 / 8


def test_image_smaller_than_the_window_is_refused():
    with pytest.raises(ValueError, match="at least 7 voxels"):
        ssim(np.zeros((6, 9)), np.zeros((6, 9)))
    with pytest.raises(ValueError, match="shape"):
        mae(np.zeros((8, 8)), np.zeros((8, 9)))
