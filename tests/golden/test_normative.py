"""Facts of the normative-representation metrics: closed forms, and the ranking score of published figures."""

import math

import numpy as np
import pytest
from scipy.linalg import sqrtm
from skimage.metrics import structural_similarity

from diffad.evaluation.normative import (
    Conservation,
    Healthiness,
    ahi_proposed,
    caci_proposed,
    combine_scores,
    frechet,
    kid,
    measure_conservation,
    measure_healthiness,
    measure_localisation,
    measure_restoration,
    rqi_proposed,
)


def absolute(x, y):
    return np.abs(x - y)


def test_frechet_of_known_gaussians():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(20_000, 4)), 1 + 2 * rng.normal(size=(20_000, 4))
    assert frechet(a, b) == pytest.approx(8, abs=0.25)
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet(a, b) == pytest.approx(frechet(b, a))
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    assert frechet(a @ turn, b @ turn) == pytest.approx(frechet(a, b))


def test_frechet_is_that_of_the_matrix_root():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(50, 6)), rng.normal(size=(40, 6)) * np.arange(1, 7)
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    gap = a.mean(0) - b.mean(0)
    assert frechet(a, b) == pytest.approx(gap @ gap + np.trace(s + t - 2 * sqrtm(s @ t).real))


def test_small_sets_look_far_apart_by_frechet_and_not_by_kid():
    rng = np.random.default_rng(0)
    few = [(rng.normal(size=(20, 64)), rng.normal(size=(130, 64))) for _ in range(10)]
    assert np.mean([frechet(a, b) for a, b in few]) > 40
    assert abs(np.mean([kid(a, b) for a, b in few])) < 0.02
    assert kid(*(few[0][0], few[0][1] + 1)) > 0.5


def test_kid_by_hand():
    a, b = np.array([[1.0], [2.0]]), np.array([[0.0], [1.0]])
    k = lambda x, y: (x * y + 1) ** 3  # noqa: E731
    across = np.mean([k(x, y) for x in (1, 2) for y in (0, 1)])
    assert kid(a, b) == pytest.approx(k(1, 2) + k(0, 1) - 2 * across)


def test_identity_restores_perfectly_and_corrects_nothing():
    x = np.random.default_rng(0).random((32, 32))
    found = measure_restoration(x, x, absolute)
    assert (found.mae, found.ssim, found.lpips) == (0, pytest.approx(1), 0)
    assert rqi_proposed(found) == pytest.approx(1)
    assert rqi_proposed(found, "product") == pytest.approx(1)
    mask = np.zeros((32, 32), bool)
    mask[8:16, 8:16] = True
    assert caci_proposed(measure_conservation(x, x, ~mask, mask, absolute)) == 0
    plain = measure_conservation(x, x, ~mask, mask)
    assert caci_proposed(plain, by="ssim") == pytest.approx(0, abs=1e-9)
    assert math.isnan(caci_proposed(plain))


def test_similarity_is_the_default_of_scikit_image():
    rng = np.random.default_rng(0)
    x, y = rng.random((40, 30)), rng.random((40, 30))
    assert measure_restoration(x, y).ssim == pytest.approx(structural_similarity(x, y, data_range=1))
    assert math.isnan(measure_restoration(x, y).lpips)
    assert math.isnan(rqi_proposed(measure_restoration(x, y)))


def test_black_restoration_is_worth_nothing():
    x = np.random.default_rng(0).random((32, 32))
    assert rqi_proposed(measure_restoration(x, np.zeros_like(x), absolute)) == 0


def test_a_perfect_correction_conserves_and_corrects():
    x = np.random.default_rng(0).random((32, 32)) / 4
    mask = np.zeros((32, 32), bool)
    mask[8:16, 8:16] = True
    twin = np.where(mask, 1 - x, x)
    found = measure_conservation(x, twin, ~mask, mask, absolute)
    assert found.mse_h == 0
    assert found.lpips_h == 0
    assert caci_proposed(found) > 0.8
    everything = measure_conservation(x, 1 - x, ~mask, mask)
    assert caci_proposed(everything, by="ssim") < 0.1
    with pytest.raises(ValueError, match="empty"):
        measure_conservation(x, x, ~mask, mask & False)


def test_healthiness_counts_the_way_back_only():
    rng = np.random.default_rng(0)
    normals, unseen = rng.normal(size=(200, 3)), rng.normal(size=(50, 3))
    sick = rng.normal(size=(50, 3)) + 3
    same = measure_healthiness(normals, unseen, sick, sick)
    assert ahi_proposed(same) == 0
    cured = measure_healthiness(normals, unseen, sick, unseen)
    assert ahi_proposed(cured) == pytest.approx(1 - cured.fd_unseen / cured.fd_pathological)
    assert ahi_proposed(cured, floor=True) == 1
    assert ahi_proposed(Healthiness(1, 2, 5, 0, 0, 0)) == 0
    assert math.isnan(ahi_proposed(Healthiness(3, 2, 1, 0, 0, 0), floor=True))
    assert same.kid_pathological > same.kid_unseen


@pytest.mark.parametrize(
    ("rqi", "ahi", "caci", "score"),
    [
        (0.90, 0.49, 0.45, 0.545), (0.89, 0.44, 0.49, 0.536), (0.66, 0.16, 0.22, 0.245),
        (0.89, 0.06, 0.28, 0.243), (0.85, 0.03, 0.31, 0.242), (0.75, 0.10, 0.21, 0.214),
        (0.56, 0.00, 0.30, 0.195), (0.64, 0.00, 0.19, 0.147), (0.60, 0.00, 0.15, 0.120),
        (0.17, 0.00, 0.26, 0.103), (0.14, 0.00, 0.23, 0.087), (0.88, 0.00, 0.06, 0.056),
        (0.04, 0.00, 0.22, 0.034), (0.02, 0.00, 0.20, 0.018),
    ],
)  # fmt: skip
def test_ranking_score_of_the_published_figures(rqi, ahi, caci, score):
    assert combine_scores(rqi, ahi, caci) == pytest.approx(score, abs=6e-4)


def test_copying_is_near_zero_however_well_it_keeps():
    assert caci_proposed(Conservation(0, 0, 1, 1, 0.0, 0.03)) == pytest.approx(0.058, abs=1e-3)


def boxed():
    positive = np.zeros((10, 10), bool)
    positive[:5, :2] = True
    return positive, ~positive


def test_detection_of_boxes():
    positive, negative = boxed()
    assert measure_localisation(positive, positive, negative, 0.5) == (1, 0, pytest.approx(1 / (1 + 5e-9)))
    assert measure_localisation(positive * 0.0, positive, negative, 0.5) == (0, 0, 0)
    tenth = np.zeros((10, 10))
    tenth[0, 0] = 1
    assert measure_localisation(tenth, positive, negative, 0.5).tp == 0
    tenth[0, 1] = 1
    assert measure_localisation(tenth, positive, negative, 0.5).tp == 1
    weak = np.zeros((10, 10))
    weak[0, 0], weak[9, :5] = 0.5, 1
    assert measure_localisation(weak, positive, negative, 0.1).fp == 5
    weak[0, 0] = 2
    assert measure_localisation(weak, positive, negative, 0.1).fp == 2
