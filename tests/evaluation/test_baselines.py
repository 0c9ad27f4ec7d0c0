import pytest
import torch

from diffad.evaluation.baselines import PCAResidual, ZScoreBaseline, raw_intensity
from diffad.inference.median_filter import median_filter

EVERYWHERE = torch.ones(1, 1, 12, 12, dtype=torch.bool)


def healthy(count=40, rank=3, seed=0):
    """Scans from a linear model of ``rank`` factors."""
    generator = torch.Generator().manual_seed(seed)
    factors = torch.randn(rank, 144, generator=torch.Generator().manual_seed(99))
    x = 0.5 + 0.03 * torch.randn(count, rank, generator=generator) @ factors
    return x.reshape(count, 1, 12, 12)


def test_raw_intensity_is_the_scan_itself_over_all_channels():
    x = healthy(3)
    assert torch.equal(raw_intensity(x), x)
    torch.testing.assert_close(raw_intensity(torch.cat([x, x + 0.2], 1)), x + 0.1)


def test_z_score_is_the_distance_in_standard_deviations():
    train, x = healthy(), healthy(4, seed=1)
    expected = (x - train.mean(0)).abs() / (train.std(0, correction=0) + 0.02)
    torch.testing.assert_close(ZScoreBaseline(median=1).fit(train, EVERYWHERE).score(x), expected)


def test_z_score_learns_each_voxel_from_the_scans_whose_brain_holds_it():
    train, masks = healthy(), EVERYWHERE.repeat(40, 1, 1, 1)
    masks[:30, :, 0, 0] = False
    baseline = ZScoreBaseline().fit(train, masks)
    torch.testing.assert_close(baseline.mean[0, 0, 0], train[30:, 0, 0, 0].mean())
    torch.testing.assert_close(baseline.sd[0, 0, 0], train[30:, 0, 0, 0].std(correction=0))


def test_pca_with_all_the_factors_rebuilds_healthy_scans_but_not_a_lesion():
    baseline = PCAResidual(components=3, median=1).fit(healthy(), EVERYWHERE)
    x = healthy(2, seed=1)
    assert baseline.score(x).max() < 1e-4
    x[:, :, 5, 5] += 0.4
    score = baseline.score(x)
    assert (score[:, 0, 5, 5] > 0.3).all()
    assert (score.flatten(1).argmax(1) == 5 * 12 + 5).all()


def test_pca_residual_equals_that_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    train, x = healthy(rank=20).double(), healthy(5, rank=20, seed=1).double()
    pca = decomposition.PCA(4, svd_solver="full").fit(train.flatten(1).numpy())
    rebuilt = torch.from_numpy(pca.inverse_transform(pca.transform(x.flatten(1).numpy()))).reshape(x.shape)
    ours = PCAResidual(components=4, median=1).fit(train, EVERYWHERE).score(x)
    torch.testing.assert_close(ours, (x - rebuilt).abs())


@pytest.mark.parametrize("baseline", [ZScoreBaseline(), PCAResidual(components=4)])
def test_maps_have_one_channel_and_items_do_not_touch_each_other(baseline):
    train = torch.cat([healthy(rank=20), healthy(rank=20, seed=2)], 1)
    x = torch.cat([healthy(3, rank=20, seed=4), healthy(3, rank=20, seed=5)], 1)
    scores = baseline.fit(train, EVERYWHERE).score(x)
    assert scores.shape == (3, 1, 12, 12)
    torch.testing.assert_close(baseline.score(x[1:2])[0], scores[1])


def test_median_removes_a_spike_and_mirrors_the_border():
    x = torch.zeros(1, 1, 9, 9)
    x[..., 4, 4] = 1
    assert median_filter(x, 5).max() == 0
    assert torch.equal(median_filter(x, 1), x)
    # mirrored, the window at the corner holds rows 2 1 0 1 2: three of the five are rows 0 and 1
    x = torch.zeros(1, 1, 9, 9)
    x[..., 1, :] = 1
    x[..., 0, :] = 1
    assert median_filter(x, 5)[0, 0, 0, 0] == 1


def test_median_and_baselines_work_in_three_dimensions():
    train = torch.rand(6, 1, 6, 6, 6, generator=torch.Generator().manual_seed(0))
    masks = torch.ones(1, 1, 6, 6, 6, dtype=torch.bool)
    for baseline in (ZScoreBaseline(median=3), PCAResidual(components=2, median=3)):
        assert baseline.fit(train, masks).score(train[:2]).shape == (2, 1, 6, 6, 6)


@pytest.mark.parametrize("baseline", [ZScoreBaseline(), PCAResidual(components=2)])
def test_shapes_that_do_not_fit_and_too_few_scans_are_refused(baseline):
    with pytest.raises(ValueError, match=r"got \(40, 1, 12, 12\) and \(3, 1, 12, 12\)"):
        baseline.fit(healthy(), EVERYWHERE.repeat(3, 1, 1, 1))
    with pytest.raises(ValueError, match=r"got \(40, 1, 12, 12\) and \(1, 1, 12, 11\)"):
        baseline.fit(healthy(), EVERYWHERE[..., :11])
    with pytest.raises(ValueError, match="at least two scans to learn from, got 1"):
        baseline.fit(healthy(1), EVERYWHERE)


def test_pca_needs_more_scans_than_components():
    with pytest.raises(ValueError, match="more than 16 scans for as many components, got 16"):
        PCAResidual().fit(healthy(16), EVERYWHERE)
