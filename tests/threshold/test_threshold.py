import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.filters import threshold_otsu

from diffad.registry import UnknownNameError
from diffad.threshold import (
    Calibration,
    calibrate_thresholds,
    check_threshold,
    healthy_threshold,
    otsu,
    pool_maps,
    select_values,
)
from diffad.threshold.rules import order_statistic


def test_fixed_threshold_must_be_finite():
    assert check_threshold(0.3) == 0.3
    with pytest.raises(ValueError, match="finite threshold, got nan"):
        check_threshold(float("nan"))


@pytest.mark.parametrize("bins", [256, 1000])
def test_otsu_equals_skimage_inside_the_mask(bins):
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(0.2, 0.05, 3000), rng.normal(0.7, 0.1, 500), np.full(2000, 5.0)])
    mask = torch.arange(len(scores)) < 3500
    assert otsu(torch.from_numpy(scores), mask, bins) == threshold_otsu(scores[:3500], bins)
    assert 0.3 < otsu(torch.from_numpy(scores), mask, bins) < 0.6


def test_otsu_with_two_bins_cuts_at_the_middle_of_the_lower():
    assert otsu(torch.tensor([0.0, 0.1, 0.2, 0.9, 1.0]), bins=2) == 0.25


def test_otsu_of_a_constant_is_the_constant():
    assert otsu(torch.full((1, 1, 4, 4), 0.25)) == 0.25


def test_otsu_needs_two_bins():
    with pytest.raises(ValueError, match="at least 2 bins, got 1"):
        otsu(torch.rand(9), bins=1)


@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.29, 1 / 3, 0.5, 0.57, 0.9]),
)
@settings(max_examples=60, deadline=None)
def test_healthy_threshold_is_the_smallest_that_keeps_the_rate(values, fpr):
    scores = torch.tensor(values, dtype=torch.float32)
    threshold = healthy_threshold(scores, fpr)

    def rate(t):
        return int((scores > t).sum()) / len(scores)

    assert rate(threshold) <= fpr
    assert rate(threshold - 0.5) > fpr


def test_rate_that_rounds_down_loses_no_pixel():
    assert 0.29 * 100 < 29
    assert healthy_threshold(torch.arange(100.0), 0.29) == 70


def test_rate_a_hair_below_a_whole_number_of_pixels_allows_one_less():
    for n in (7, 100, 1000):
        for k in range(1, n):
            below = math.nextafter(k / n, 0)
            assert order_statistic(torch.arange(float(n)), k / n) == n - 1 - k
            assert order_statistic(torch.arange(float(n)), below) == n - k


@pytest.mark.parametrize("fpr", [-0.1, 1.0, float("nan")])
def test_rate_out_of_range_is_refused(fpr):
    with pytest.raises(ValueError, match="false-positive rate"):
        healthy_threshold(torch.rand(10), fpr)


def test_calibration_pools_the_scans_inside_their_masks(generators):
    (generator,) = generators(0)
    maps = torch.rand(3, 1, 16, 16, generator=generator)
    masks = torch.rand(3, 1, 16, 16, generator=generator) < 0.5
    calibration = calibrate_thresholds(zip(maps, masks, strict=True), rates=(0.01, 0.1))
    assert calibration.scans == 3
    assert calibration.pixels == int(masks.sum())
    assert calibration.threshold(0.1) == healthy_threshold(maps[masks], 0.1)
    assert calibration.threshold(0.01) > calibration.threshold(0.1)


def test_calibration_survives_json():
    calibration = Calibration({0.01: 1 / 3, 0.05: 0.3123456789}, scans=12, pixels=34567)
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration


def test_unknown_rate_lists_the_known_ones():
    calibration = Calibration({0.05: 0.2, 0.01: 0.3}, scans=1, pixels=1)
    assert calibration.threshold(0.1 / 2) == 0.2
    with pytest.raises(ValueError, match=r"rates 0.01, 0.05, got 0.02"):
        calibration.threshold(0.02)


def test_bad_calibrations_are_refused():
    with pytest.raises(ValueError, match="at least one threshold"):
        Calibration({}, 1, 1)
    with pytest.raises(ValueError, match="false-positive rate"):
        Calibration({5.0: 0.1}, 1, 1)
    with pytest.raises(ValueError, match="finite threshold"):
        Calibration({0.05: float("inf")}, 1, 1)
    with pytest.raises(ValueError, match="expected a calibration with"):
        Calibration.from_dict({"thresholds": {"0.05": 0.1}, "scans": 1})
    with pytest.raises(ValueError, match="at least one healthy scan"):
        calibrate_thresholds([])


def test_values_inside_must_exist_and_be_finite():
    scores = torch.rand(1, 4, 4)
    with pytest.raises(ValueError, match="at least one pixel"):
        select_values(scores, torch.zeros(1, 4, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="expected mask of shape"):
        select_values(scores, torch.ones(1, 4, 3, dtype=torch.bool))
    scores[0, 0, :2] = float("nan")
    with pytest.raises(ValueError, match="got 2 of 16 that are not"):
        select_values(scores)


@pytest.mark.parametrize("shape", [(2, 1, 20, 20), (2, 1, 8, 8, 8)], ids=str)
@pytest.mark.parametrize("how", ["mean", "max", "topk"])
def test_pooling_looks_inside_the_mask_only(how, shape, generators):
    (generator,) = generators(0)
    scores = torch.rand(shape, generator=generator)
    mask = torch.rand(shape, generator=generator) < 0.4
    oracle = {
        "mean": lambda v: v.mean(),
        "max": lambda v: v.max(),
        "topk": lambda v: np.sort(v)[-int(np.ceil(0.05 * len(v))) :].mean(),
    }[how]
    image_score = pool_maps(scores, mask, how, k=0.05)
    assert image_score.shape == (2,)
    for i in range(2):
        np.testing.assert_allclose(float(image_score[i]), oracle(scores[i][mask[i]].numpy()), rtol=1e-6)
        assert torch.equal(pool_maps(scores[i : i + 1], mask[i : i + 1], how, k=0.05), image_score[i : i + 1])


def test_top_k_runs_from_the_maximum_to_the_mean(generators):
    scores = torch.rand(2, 1, 9, 9, generator=generators(0)[0])
    assert torch.equal(pool_maps(scores, how="topk", k=1e-9), pool_maps(scores, how="max"))
    assert torch.allclose(pool_maps(scores, how="topk", k=1.0), pool_maps(scores))


def test_bad_pooling_is_refused():
    scores = torch.rand(2, 1, 4, 4)
    with pytest.raises(UnknownNameError, match="unknown pooling 'men'; did you mean 'mean'"):
        pool_maps(scores, how="men")
    with pytest.raises(ValueError, match=r"k in \(0, 1\], got 0"):
        pool_maps(scores, how="topk", k=0)
    with pytest.raises(ValueError, match="at least one pixel"):
        pool_maps(scores, torch.zeros_like(scores))
    with pytest.raises(ValueError, match="expected mask of shape"):
        pool_maps(scores, torch.ones(2, 1, 4, 5))
