"""Scores of filled scans: the numbers of the official package on a volume with a closed form."""

import numpy as np
import pytest

from diffad.evaluation.metrics.inpainting import PSNR_CAP, measure_inpainting, measure_sharpness
from diffad.fill.simple import fill_harmonic, fill_rim_mean

Z = np.stack(np.meshgrid(*[np.linspace(-1, 1, 48)] * 3, indexing="ij"))
BRAIN = (Z**2).sum(0) < 0.8
TRUTH = 1000 * (0.5 + 0.2 * np.sin(6 * Z[0]) + 0.15 * np.cos(5 * Z[1] * Z[2])) * BRAIN
MASK = ((Z - np.array([0.2, 0.1, -0.1])[:, None, None, None]) ** 2).sum(0) < 0.06
FILLED = np.where(MASK, 0.9 * TRUTH + 30 * np.sin(9 * Z[1]), TRUTH)
VOIDED = TRUTH * ~MASK
GOLDEN = {"mse": 0.0064295, "psnr_01": 21.918, "psnr": 10.432, "ssim_2d": 0.990146, "ssim_3d": 0.991647}


@pytest.mark.parametrize("name", GOLDEN)
def test_scores_are_those_of_the_official_package(name):
    assert MASK.sum() == 802
    assert measure_inpainting(TRUTH, FILLED, VOIDED, MASK)[name] == pytest.approx(GOLDEN[name], rel=5e-5)


def test_window_is_that_of_the_voided_scan_with_its_background():
    assert np.quantile(VOIDED, 0.995) == pytest.approx(846.817, abs=5e-4)
    assert np.quantile(VOIDED[BRAIN & ~MASK], [0.005, 0.995]) == pytest.approx([307.4, 849.1], abs=0.05)


def test_perfect_fill_has_the_best_scores():
    scores = measure_inpainting(TRUTH, TRUTH, VOIDED, MASK)
    assert scores["mse"] == 0
    assert scores["psnr_01"] == scores["psnr"] == PSNR_CAP
    assert scores["ssim_2d"] == scores["ssim_3d"] == pytest.approx(1)


def test_voxels_outside_the_mask_change_nothing():
    other = np.where(MASK, FILLED, 77.0)
    expected = measure_inpainting(TRUTH, FILLED, VOIDED, MASK)
    assert measure_inpainting(TRUTH, other, VOIDED, MASK) == expected


SIMPLE = {
    "zeros": (lambda known: VOIDED, 0.892, None),
    "rim mean": (lambda known: fill_rim_mean(VOIDED, MASK, known), 0.00756, (0.9911, 0.9831)),
    "harmonic": (lambda known: fill_harmonic(VOIDED, MASK, known, np.ones(3)), 0.00160, (0.9961, 0.9968)),
}


@pytest.mark.parametrize("name", SIMPLE)
def test_fills_without_a_model_are_as_good_as_stated(name):
    fill, mse, similarities = SIMPLE[name]
    scores = measure_inpainting(TRUTH, fill(BRAIN & ~MASK), VOIDED, MASK)
    assert scores["mse"] == pytest.approx(mse, rel=2e-3)
    if similarities:
        assert (scores["ssim_2d"], scores["ssim_3d"]) == pytest.approx(similarities, abs=6e-5)


def test_sharpness_of_a_blurred_fill_is_below_one():
    assert measure_sharpness(TRUTH, TRUTH, MASK) == 1
    assert measure_sharpness(TRUTH, np.full_like(TRUTH, 500.0), MASK) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((TRUTH, FILLED, VOIDED, np.zeros_like(MASK)), "an empty one"),
        ((TRUTH[1:], FILLED, VOIDED, MASK), "on the grid"),
        ((TRUTH, FILLED, np.zeros_like(TRUTH), MASK), "contrast"),
    ],
)
def test_what_cannot_be_scored_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        measure_inpainting(*arguments)
