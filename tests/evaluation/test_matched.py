"""Matched brightness, robust deviations, mirror images and a map of chance, of slices and of volumes."""

import pytest
import torch

from diffad.evaluation.baselines import RobustZScore, ZScoreBaseline
from diffad.evaluation.matched import MatchedIntensity
from diffad.evaluation.mirrored import draw_random_map, map_slice_asymmetry
from diffad.evaluation.volume_baselines import RobustAtlasZScore
from tests.evaluation.test_volume_baselines import LESION, make_head


def draw_slice(seed, shape=(24, 20)):
    brain = torch.zeros(shape, dtype=torch.bool)
    brain[3:-3, 2:-2] = True
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * brain, brain


@pytest.mark.parametrize("gain", [(2.0, 0.0), (0.3, 0.1), (30.0, 5.0)])
def test_matching_undoes_a_scanner(gain):
    matched = MatchedIntensity().fit([draw_slice(seed) for seed in range(5)])
    image, brain = draw_slice(9)
    other = (gain[0] * image + gain[1]) * brain
    torch.testing.assert_close(matched.score(other, brain), matched.score(image, brain), rtol=0, atol=1e-5)


def test_matching_keeps_ranks_and_gives_the_healthy_histogram():
    scans = [draw_slice(seed) for seed in range(5)]
    matched = MatchedIntensity().fit(scans)
    image, brain = draw_slice(9)
    scores = matched.score(image.square(), brain)
    inside, before = scores[brain], image[brain]
    assert (inside[before.argsort()].diff() >= 0).all()
    healthy = torch.stack([x[b].sort().values for x, b in scans]).mean(0)
    torch.testing.assert_close(inside.sort().values, healthy, rtol=0, atol=0.02)
    assert not scores[~brain].any()


def test_matching_needs_scans_and_brains():
    with pytest.raises(ValueError, match="at least one healthy scan"):
        MatchedIntensity().fit([])
    with pytest.raises(ValueError, match="brain mask with voxels inside"):
        MatchedIntensity().fit([(torch.ones(3, 3), torch.zeros(3, 3, dtype=torch.bool))])


def test_constant_image_is_no_trouble_to_match():
    matched = MatchedIntensity().fit([draw_slice(seed) for seed in range(5)])
    _, brain = draw_slice(0)
    scores = matched.score(0.5 * brain, brain)
    assert scores.isfinite().all()
    assert len(scores[brain].unique()) == 1


def test_robust_deviation_is_that_of_the_median():
    train = torch.rand((41, 1, 6, 5), generator=torch.Generator().manual_seed(0))
    masks = torch.ones(1, 1, 6, 5, dtype=torch.bool)
    x = torch.rand((2, 1, 6, 5), generator=torch.Generator().manual_seed(1))
    centre = train.quantile(0.5, dim=0)
    sd = 1.4826 * (train - centre).abs().quantile(0.5, dim=0)
    expected = (x - centre).abs() / (sd + 0.02)
    torch.testing.assert_close(RobustZScore(median=1).fit(train, masks).score(x), expected)


def test_a_few_lesions_among_the_training_scans_hardly_matter_to_the_median():
    train = 0.5 + 0.02 * torch.randn((40, 1, 6, 5), generator=torch.Generator().manual_seed(0))
    masks = torch.ones(1, 1, 6, 5, dtype=torch.bool)
    train[:6, :, 2, 2] = 0.0
    lesion = torch.full((1, 1, 6, 5), 0.5)
    lesion[..., 2, 2] = 0.2
    robust = RobustZScore(median=1).fit(train, masks).score(lesion)[0, 0, 2, 2]
    plain = ZScoreBaseline(median=1).fit(train, masks).score(lesion)[0, 0, 2, 2]
    assert robust > 3 * plain


def test_robust_atlas_marks_what_no_healthy_brain_has():
    atlas = RobustAtlasZScore().fit(make_head(seed) for seed in range(6))
    image, brain = make_head(9, LESION)
    scores = atlas.score(image, brain)
    assert not scores[~brain].any()
    assert scores[LESION].mean() > 5 * scores[brain].mean()
    with pytest.raises(ValueError, match="at least 2 healthy scans"):
        RobustAtlasZScore().fit([make_head()])


def test_slice_against_its_mirror_image_marks_both_sides_alike():
    image, brain = draw_slice(0)
    image = (image + image.flip(1)) / 2
    assert map_slice_asymmetry(image, brain).max() < 1e-6
    image[8:12, 4:8] += 2
    scores = map_slice_asymmetry(image, brain)
    assert scores[9:11, 5:7].min() > 1.9
    torch.testing.assert_close(scores, scores.flip(1))
    assert not scores[~brain].any()


def test_mirror_lies_in_the_middle_of_the_brain_not_of_the_image():
    image, brain = torch.zeros(12, 20), torch.zeros(12, 20, dtype=torch.bool)
    brain[2:10, 1:11] = True
    image[5, 2] = 9.0
    scores = map_slice_asymmetry(image, brain)
    assert scores[5, 2] == scores[5, 9] > 0
    assert not scores[:, 12:].any()


def test_chance_repeats_and_stays_in_the_brain():
    image, brain = draw_slice(0)
    scores = draw_random_map(image, brain)
    assert torch.equal(scores, draw_random_map(image, brain))
    assert not scores[~brain].any()
    assert scores[brain].mean().item() == pytest.approx(0.5, abs=0.05)
