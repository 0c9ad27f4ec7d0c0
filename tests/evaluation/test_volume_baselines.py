import pytest
import torch

from diffad.evaluation.volume_baselines import MAPS, AtlasPCA, AtlasZScore


def make_head(seed=0, lesion=None, size=(30, 36, 30)):
    axes = [torch.linspace(-1, 1, n) for n in size]
    distance = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0).sqrt()
    brain = distance < 0.9
    noise = 0.02 * torch.rand(size, generator=torch.Generator().manual_seed(seed))
    image = (100 * (0.6 + 0.1 * torch.cos(5 * distance) + noise)) * brain
    if lesion is not None:
        image[lesion] = 5.0
    return image, brain


LESION = (slice(8, 12), slice(16, 20), slice(13, 17))


@pytest.mark.parametrize("kind", [AtlasZScore, AtlasPCA])
def test_atlas_marks_what_no_healthy_brain_has(kind):
    atlas = kind().fit(make_head(seed) for seed in range(6))
    image, brain = make_head(9, LESION)
    scores = atlas.score(image, brain)
    assert scores.shape == brain.shape
    assert not scores[~brain].any()
    assert scores[LESION].mean() > 5 * scores[brain].mean()


@pytest.mark.parametrize("kind", [AtlasZScore, AtlasPCA])
def test_one_scan_is_too_few(kind):
    with pytest.raises(ValueError, match="at least 2 healthy scans"):
        kind().fit([make_head()])


def test_mirror_marks_both_sides_of_a_lesion_alike():
    image, brain = make_head(0, LESION)
    scores = MAPS["mirror asymmetry"](image, brain)
    assert scores[LESION].mean() > 5 * scores[brain].mean()
    assert scores.flip(0)[LESION].mean() == pytest.approx(float(scores[LESION].mean()), rel=1e-3)


@pytest.mark.parametrize("name", MAPS)
def test_maps_stay_in_the_brain_and_repeat(name):
    image, brain = make_head()
    scores = MAPS[name](image, brain)
    assert not scores[~brain].any()
    assert torch.isfinite(scores).all()
    assert torch.equal(scores, MAPS[name](image, brain))


def test_dark_and_bright_are_opposite():
    image, brain = make_head(0, LESION)
    dark, bright = (MAPS[f"{name} intensity"](image, brain) for name in ("dark", "bright"))
    assert dark[LESION].min() > dark[brain].mean()
    assert bright[LESION].max() < bright[brain].mean()
