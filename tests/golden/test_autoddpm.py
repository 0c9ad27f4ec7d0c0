"""Facts about mask, stitch, and re-sample (Bercea et al., 2023).

Published levels are indices: index t is level t + 1 here, so T = 200 and t_inp = 50 are levels 201 and 51.
"""

import pytest
import torch

from diffad.registry import SCORES
from diffad.samplers.chain import Chain
from diffad.samplers.likelihood import dilate_region, find_suspects
from diffad.samplers.repaint import RePaint, list_moves
from diffad.samplers.resampled import Resampled
from diffad.step import ddpm_step, renoise
from diffad.types import Reconstruction
from tests.helpers.toys import ConstantDenoiser, GaussianDenoiser, Toy, linear_schedule, white_noise

SCHEDULE = linear_schedule()
COARSE = {"name": "chain", "level": 201}
A = SCORES.build("product", scores=[{"name": "l1"}, {"name": "likelihood"}])


class Wild(Toy):
    """Any network: its estimate has nothing to do with the image."""

    def estimate(self, x_t, t):
        return (37 * x_t).sin() + 0.1 * t.reshape(-1, 1, 1, 1)


def rand(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


X = rand(2, 1, 16, 20)


def seeds():
    return [torch.Generator().manual_seed(s) for s in (1, 2)]


def small(**options):
    return Resampled(**{"coarse": {"name": "oneshot", "levels": 20}, "level": 9, "repeats": 2, **options})


def restore(sampler, x=X, denoiser=None, **options):
    return sampler(x, denoiser or Wild(), white_noise, generator=seeds(), **options)


def public(x):
    return x / 2 + 0.5


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("start", ["coarse", "stitched"])
def test_outside_the_mask_the_twin_is_the_image_whatever_the_network(reference, start):
    result = restore(small(reference=reference, start=start))
    m = dilate_region(find_suspects(result.map, None, 0.05, None), 3)
    assert torch.equal(result.image[~m], X[~m])
    assert not torch.equal(result.image[m], X[m])


def test_an_empty_mask_gives_the_image_and_no_anomaly():
    result = restore(small(threshold=1e6))
    assert torch.equal(result.image, X)
    assert result.map.max() > 0
    assert not A(public(X), Reconstruction(public(result.image), result.nfe, map=result.map)).any()


class Fixed:
    """A coarse sampler whose twin has nothing to do with the image."""

    def __call__(self, x, denoiser, noise, *, generator, mask=None, on_step=None):
        return Reconstruction(rand(*x.shape, seed=7), nfe=0)


def test_with_nothing_known_the_result_does_not_depend_on_the_image():
    everything = small(coarse=Fixed(), score={"name": "l1"}).restricted_to(torch.ones_like(X))
    assert torch.equal(restore(everything).image, restore(everything, x=rand(*X.shape, seed=8)).image)


@pytest.mark.parametrize("repeats", [1, 3])
def test_with_nothing_known_it_is_ancestral_sampling_with_jumps_back(repeats):
    start, denoiser, rng = rand(*X.shape, seed=7), Wild(), seeds()
    z = SCHEDULE.add_noise(start, white_noise(start, generator=rng), 9)
    for t in range(9, 0, -1):
        for u in range(repeats if t > 1 else 1):
            z = renoise(z, t - 1, t, SCHEDULE, white_noise(z, generator=rng)) if u else z
            x_hat = denoiser(z, torch.tensor(t))
            n = white_noise(z, generator=rng) if t > 1 else torch.zeros_like(z)
            z = ddpm_step(z, x_hat, t, t - 1, SCHEDULE, n)
    everything = torch.ones_like(X, dtype=torch.bool)
    paint = RePaint(Wild(), white_noise, seeds(), list_moves(9, None, repeats, False))
    assert torch.equal(paint(X, start, everything), z)
    if repeats == 1:
        assert torch.equal(z, Chain(9)(start, Wild(), white_noise, generator=seeds()).image)


def test_a_pixel_grows_to_nine_and_nothing_grows_from_nothing():
    region = torch.zeros(1, 1, 9, 9, dtype=torch.bool)
    assert not dilate_region(region, 3).any()
    region[..., 4, 4] = True
    count = dilate_region(region, 3)
    assert int(count.sum()) == 9
    assert count[..., 3:6, 3:6].all()


@pytest.mark.parametrize("seed", range(4))
def test_the_map_is_bounded_by_residual_and_likelihood(seed):
    x = rand(2, 1, 16, 20, seed=seed)
    result = restore(small(), x=x)
    scores = A(public(x), Reconstruction(public(result.image), result.nfe, map=result.map))
    product = (public(x) - public(result.image)).abs() * result.map.amax((1, 2, 3), keepdim=True)
    assert (scores <= product).all()
    assert not scores[result.map == 0].any()


def test_the_percentile_takes_exactly_the_floor_of_five_percent():
    for pixels in (20, 99, 100, 119, 128 * 128):
        likelihood = torch.randperm(pixels, generator=torch.Generator().manual_seed(0)).float()
        suspects = find_suspects(likelihood.reshape(1, 1, 1, -1), None, 0.05, None)
        assert int(suspects.sum()) == pixels // 20


@pytest.mark.parametrize(
    ("repeats", "reference", "calls"), [(5, True, 451), (1, True, 251), (5, False, 452), (1, False, 252)]
)
def test_calls_are_those_of_the_coarse_chain_and_of_each_repeat(repeats, reference, calls):
    # the published loop leaves out the last move, from level 1 to 0
    denoiser = GaussianDenoiser()
    sampler = Resampled(COARSE, level=51, repeats=repeats, reference=reference)
    result = sampler(X[:1], denoiser, white_noise, generator=seeds()[:1])
    assert denoiser.calls == result.nfe == calls


@pytest.mark.parametrize(("index", "std"), [(50, 0.1733), (200, 0.5862), (300, 0.7785)])
def test_noise_of_a_published_index(index, std):
    assert float((1 - SCHEDULE.alpha_bar(index + 1)).sqrt()) == pytest.approx(std, abs=5e-5)
    zero = torch.zeros(1, 1, 256, 256)
    x_t = SCHEDULE.add_noise(zero, white_noise(zero, generator=seeds()[:1]), index + 1)
    assert float(x_t.std()) == pytest.approx(std, rel=0.01)


def back(reference, s, z_s, noise):
    """Jump from level s to s + 1 with a field of noise."""
    moves = list_moves(51, None, 2, reference)
    return RePaint(GaussianDenoiser(), lambda like, t=None, *, generator: noise, seeds(), moves)._jump_back(
        z_s, s, s + 1
    )


@pytest.mark.parametrize("index", [2, 30, 50])
def test_a_jump_back_keeps_the_marginal_and_the_published_one_does_not(index):
    unit, zero = torch.ones(1, 1, 1, 1, dtype=torch.float64), torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    t, s = index + 1, index  # levels of the indices t and t - 1
    target = 1 - float(SCHEDULE.alpha_bar(t))
    at_s = 1 - float(SCHEDULE.alpha_bar(s))
    errors = {}
    for reference in (False, True):
        scale, fresh = back(reference, s, unit, zero), back(reference, s, zero, unit)
        errors[reference] = float(scale) ** 2 * at_s + float(fresh) ** 2 - target
    beta = {n: 1 - float(SCHEDULE.alpha_bar(n) / SCHEDULE.alpha_bar(n - 1)) for n in (s, t)}
    assert errors[False] == pytest.approx(0, abs=1e-15)
    assert errors[True] == pytest.approx((beta[s] - beta[t]) * (1 - at_s), abs=1e-15)
    if index == 30:
        assert errors[True] == pytest.approx(-1.969e-5, abs=5e-9)


def test_a_perfect_network_finds_nothing():
    denoiser = ConstantDenoiser(X[:1])
    result = Resampled(COARSE)(X[:1], denoiser, white_noise, generator=seeds()[:1])
    assert not result.map.any()
    assert torch.equal(result.image, X[:1])
    assert result.nfe == denoiser.calls == 201


def test_the_published_way_scales_by_the_whole_image_and_ours_by_the_brain():
    x = X.clone()
    brain = torch.zeros_like(x, dtype=torch.bool)
    brain[..., 4:12, 5:15] = True
    options = {"coarse": Fixed(), "score": {"name": "relative"}, "whole": "sample"}
    ours, published = (restore(small(**options, reference=r), x=x, mask=brain).map for r in (False, True))
    residual = (public(x) - public(rand(*x.shape, seed=7))).abs()
    assert not ours[~brain].any()
    for i in range(2):
        for scores, values in ((ours[i], residual[i][brain[i]]), (published[i], residual[i].flatten())):
            expected = (residual[i] / values.quantile(0.95)).clamp(max=1)
            torch.testing.assert_close(scores[brain[i]], expected[brain[i]])
    assert published[~brain].max() > 0
