"""p-values of healthy voxels are what they say; old calibrations still load."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.threshold import Calibration, Survival, calibrate_thresholds


def scans(count, seed=0, size=200):
    generator = torch.Generator().manual_seed(seed)
    gains = 0.5 + torch.rand(count, generator=generator)
    return [gain * torch.rand(size, generator=generator) for gain in gains]


def test_four_voxels_by_hand():
    table = Survival.of([torch.tensor([0.1, 0.2]), torch.tensor([0.2, 0.4])])
    assert table.scores == pytest.approx((0.1, 0.2, 0.4))
    assert table.shares == pytest.approx((1, 0.75, 0.25))
    p = table.p_values(torch.tensor([0.0, 0.1, 0.3, 0.4, 0.9]))
    assert p.tolist() == pytest.approx([1, 1, 2.5 / 3, 0.5, 0.5])
    p = table.p_values(torch.tensor([0.9]), by="voxel")
    assert p.item() == pytest.approx((1 + 4 * 0.25) / 5)


def test_p_values_of_new_healthy_scans_keep_their_promise():
    table = Survival.of(scans(99))
    new = scans(200, seed=1)
    for alpha in (0.02, 0.05, 0.2, 0.5):
        rate = torch.stack([(table.p_values(x) <= alpha).float().mean() for x in new]).mean().item()
        assert rate <= alpha + 0.02
        assert rate >= alpha - 0.06  # it does not keep it by flagging nothing


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 12))
def test_p_values_fall_with_the_score_and_stay_in_range(seed, count):
    table = Survival.of(scans(count, seed, 30))
    p = table.p_values(torch.linspace(-1, 3, 200))
    assert (p.diff() <= 0).all()
    assert p[0] == 1
    assert p.min() >= 1 / (count + 1) - 1e-6


def test_table_is_short_and_errs_upwards_only():
    every = scans(5, size=20_000)
    table = Survival.of(every)
    assert len(table.scores) < 200
    points = torch.rand(500, generator=torch.Generator().manual_seed(3)) * 1.5
    true = torch.stack([(x[:, None] >= points).float().mean(0) for x in every]).mean(0)
    p = table.p_values(points)
    exact = (1 + 5 * true) / 6
    assert (p >= exact - 1e-6).all()
    assert (p - exact).max() < 0.02


def test_table_is_even_over_the_bulk_and_geometric_over_the_highest_twentieth():
    n = 100_000
    ranks = torch.tensor(Survival.of([torch.arange(float(n))]).scores)
    bulk, tail = ranks[:64], ranks[64:]
    torch.testing.assert_close(bulk.diff(), torch.full((63,), 0.95 * (n - 1) / 63), rtol=0, atol=1)
    assert (bulk[0], bulk[-1], tail[0], tail[-1]) == (0, 94_999, 95_000, n - 1)
    # distances from the highest, itself counted as 1, fall from n / 20 to 1 in 127 steps
    wide = (n - tail)[: len(tail) // 2]
    torch.testing.assert_close(
        wide[:-1] / wide[1:], torch.full_like(wide[1:], 5000 ** (1 / 127)), rtol=0.01, atol=0
    )


def test_table_of_few_scores_holds_them_all():
    for n in (1, 2, 3, 20):
        assert Survival.of([torch.arange(float(n))]).scores == tuple(range(n))


def test_calibration_survives_json_and_older_ones_load():
    calibration = calibrate_thresholds([(x, None) for x in scans(6)], [0.01, 0.05])
    copy = Calibration.from_dict(calibration.to_dict())
    probe = torch.rand(50)
    assert torch.equal(copy.p_values(probe), calibration.p_values(probe))
    assert copy.achieved == calibration.achieved
    old = {key: calibration.to_dict()[key] for key in ("thresholds", "scans", "pixels")}
    assert Calibration.from_dict(old).p_values(probe) is None
    assert Calibration.from_dict(old).threshold(0.05) == calibration.threshold(0.05)


def test_achieved_rate_is_that_of_the_other_half():
    low, high = torch.arange(100.0), torch.arange(100.0) + 50
    calibration = calibrate_thresholds([(low, None), (high, None)], [0.1])
    # the cut of the low half, 89, lets 60 of the high one pass; that of the high half, 139, none of the low
    assert calibration.achieved[0.1] == pytest.approx(0.3)
    assert calibrate_thresholds([(low, None)], [0.1]).achieved == {}


def test_bad_tables_are_refused():
    with pytest.raises(ValueError, match="rise"):
        Survival((0.2, 0.1), (1, 0.5), 1, 2)
    with pytest.raises(ValueError, match="as many shares"):
        Survival((0.1,), (1, 0.5), 1, 2)
    with pytest.raises(ValueError, match="by scan or voxel"):
        Survival((0.1,), (1.0,), 1, 2).p_values(torch.zeros(1), by="slice")
    with pytest.raises(ValueError, match="expected a table"):
        Survival.from_dict({"scores": [1]})
