"""Temporal harmonisation: which levels are blended, with what, and what stays as it was."""

import pytest
import torch

from diffad.capabilities import attach_networks
from diffad.registry import SAMPLERS
from diffad.samplers.blend import Blend, mix
from diffad.samplers.chain import Chain
from diffad.samplers.harmonised import Harmonised
from diffad.samplers.morphology import close, dilate
from tests.helpers.toys import (
    ConstantDenoiser,
    CountingNoise,
    GaussianDenoiser,
    IdentityDenoiser,
    linear_schedule,
    recorder,
    white_noise,
)

SCHEDULE = linear_schedule()
SMALL = {"level": 40, "steps": 8, "harmonise": (30, 20), "watch": 10, "width": 3, "score": {"name": "l1"}}


def scan(shape=(2, 1, 24, 20), seed=5):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def rng(n=2):
    return [torch.Generator().manual_seed(i) for i in range(n)]


def run(x, denoiser=None, noise=white_noise, mask=None, region=None, **options):
    """Run a small sampler; return what it restored and its records."""
    records, on_step = recorder()
    sampler = Harmonised(**{**SMALL, **options})
    sampler = sampler if region is None else sampler.restricted_to(region)
    denoiser = denoiser or GaussianDenoiser()
    return sampler(x, denoiser, noise, generator=rng(len(x)), mask=mask, on_step=on_step), records


def public(x):
    return ((x + 1) / 2).clamp(0, 1)


def half_known(x):
    """A denoiser that changes only the middle of the image."""
    twin = x.clone()
    twin[..., 8:12, 8:12] = -x[..., 8:12, 8:12]
    return ConstantDenoiser(twin)


@pytest.mark.parametrize("options", [{}, {"step": "ddim", "eta": 0.5}, {"variance": "fixed_large"}])
def test_without_harmonisation_it_is_the_chain(options):
    x = scan()
    chain = Chain(40, 8, **options)(x, GaussianDenoiser(), white_noise, generator=rng())
    assert torch.equal(run(x, harmonise=(), **options)[0].image, chain.image)


def test_maps_are_of_the_visited_levels_asked_for():
    _, records = run(scan())
    assert [r.t for r in records] == [40, 35, 30, 25, 20, 15, 10, 5]
    assert [r.t for r in records if r.map is not None] == [40, 30, 20, 10, 5]
    _, records = run(scan(), watch=None)
    assert [r.t for r in records if r.map is not None] == [30, 20]
    _, records = run(scan(), watch=[12, 40])
    assert [r.t for r in records if r.map is not None] == [40, 30, 20, 10]


def test_levels_that_are_not_visited_fall_on_the_nearest_higher_first():
    _, records = run(scan(), harmonise=[33, 32, 31, 22, 1], watch=None)
    assert [r.t for r in records if r.map is not None] == [35, 30, 20, 10]
    _, records = run(scan(), steps=4, harmonise=[35], watch=None)
    assert [r.t for r in records if r.map is not None] == [40]


def test_maps_are_normalised_distances_inside_the_mask():
    x, mask = scan(), torch.ones(2, 1, 24, 20)
    mask[..., :7, :] = 0
    _, records = run(x, mask=mask)
    for r in records:
        if r.map is not None:
            distance = (public(x) - public(r.x_hat)).abs() * mask
            expected = distance / (distance.amax((1, 2, 3), keepdim=True) + 1e-8)
            torch.testing.assert_close(r.map, expected)
            assert not r.map[..., :7, :].any()


def test_maps_may_stay_as_the_score_gives_them():
    x = scan()
    _, records = run(x, normalise="none")
    first = records[0]
    torch.testing.assert_close(first.map, (public(x) - public(first.x_hat)).abs())


@pytest.mark.parametrize("rule", ["next", "same"])
def test_a_blend_is_noised_to_the_level_of_the_rule(rule):
    x = scan()
    first = white_noise(x, generator=rng())
    _, records = run(x, rule=rule)
    for r in (r for r in records if r.t in (30, 20)):
        weight = ((dilate(close(r.map, 3), 3) + r.map) / 2).clamp(0, 1)
        blend = mix(x, r.x_hat.clamp(-1, 1), weight)
        expected = SCHEDULE.add_noise(blend, first, r.s if rule == "next" else r.t)
        torch.testing.assert_close(r.x_s, expected)


def test_rules_part_at_the_first_blend():
    (_, following), (_, same) = run(scan()), run(scan(), rule="same")
    apart = [not torch.equal(a.x_s, b.x_s) for a, b in zip(following, same, strict=True)]
    assert apart == [False, False] + [True] * 6


def test_blends_draw_no_noise_if_it_is_fixed_and_their_own_if_it_is_fresh():
    fixed, fresh = CountingNoise(), CountingNoise()
    run(scan(), noise=fixed)
    run(scan(), noise=fresh, renoise="fresh")
    assert fixed.levels == [40, 40, 35, 25, 15, 10]
    assert fresh.levels == [40, 40, 35, 30, 25, 20, 15, 10]


def test_fresh_noise_is_not_that_of_the_jump():
    x = scan()
    first = white_noise(x, generator=rng())
    _, records = run(x, ConstantDenoiser(x), renoise="fresh")
    for r in (r for r in records if r.t in (30, 20)):
        alpha, sigma = SCHEDULE.amplitudes(r.s, x)
        used = (r.x_s - alpha * x) / sigma
        assert (used - first).abs().mean() > 0.5
        assert used.std() == pytest.approx(1, abs=0.1)


def test_the_last_move_gives_the_estimate():
    for step in ("ddpm", "ddim"):
        found, records = run(scan(), step=step)
        assert torch.equal(found.image, records[-1].x_hat)


def test_what_looks_healthy_is_the_scan_after_a_blend():
    x = scan((1, 1, 24, 20))
    _, records = run(x, half_known(x))
    first = white_noise(x, generator=rng(1))
    blended = next(r for r in records if r.t == 20)
    alpha, sigma = SCHEDULE.amplitudes(blended.s, x)
    clean = (blended.x_s - sigma * first) / alpha
    torch.testing.assert_close(clean[..., :7, :], x[..., :7, :], atol=1e-5, rtol=0)
    assert (clean - x)[..., 8:12, 8:12].abs().mean() > 0.3


def test_a_blend_stays_in_the_range_of_the_model_and_keeps_what_is_dark():
    x = scan()
    wild = half_known(x)
    wild.x[..., 8:12, 8:12] = 9
    first = white_noise(x, generator=rng())
    _, records = run(x, wild)
    for r in (r for r in records if r.t in (30, 20)):
        alpha, sigma = SCHEDULE.amplitudes(r.s, x)
        clean = (r.x_s - sigma * first) / alpha
        assert clean.abs().max() < 1 + 1e-4
        torch.testing.assert_close(clean.min(), x.min(), atol=1e-4, rtol=0)


def test_a_region_bounds_the_maps_and_what_changes():
    x, region = scan(), torch.zeros(2, 1, 24, 20)
    region[..., 6:14, 6:14] = 1
    sampler = Harmonised(**SMALL)
    found, records = run(x, IdentityDenoiser(), region=region)
    outside = region.expand_as(x) == 0
    assert torch.equal(found.image[outside], x[outside])
    assert (found.image != x)[~outside].any()
    assert all(not r.map[outside].any() for r in records if r.map is not None)
    first = white_noise(x, generator=rng())
    blended = next(r for r in records if r.t == 30)
    assert torch.equal(blended.x_s[outside], SCHEDULE.add_noise(x, first, 25)[outside])
    assert sampler.restricted_to(region) is not sampler
    assert torch.equal(sampler(x, GaussianDenoiser(), white_noise, generator=rng()).image, run(x)[0].image)


def test_a_region_of_another_shape_raises():
    with pytest.raises(ValueError, match=r"expected region of shape \(2, 1, 24, 20\), got \(2, 1, 20, 24\)"):
        run(scan(), region=torch.ones(2, 1, 20, 24))


def test_channels_share_one_map_in_two_and_three_dimensions():
    for shape in ((2, 3, 24, 20), (2, 3, 8, 9, 10)):
        _, records = run(scan(shape))
        assert {tuple(r.map.shape) for r in records if r.map is not None} == {(2, 1, *shape[2:])}


class Asking:
    """A score that keeps the networks it was given."""

    def attach_networks(self, networks):
        self.networks = networks

    def __call__(self, x, restoration, mask=None):
        return (x - restoration.image).abs()


def test_networks_and_ready_scores_pass_through():
    score = Asking()
    attach_networks(Harmonised(score=score), {"network": None})
    assert score.networks == {"network": None}
    assert torch.equal(run(scan(), score=score)[0].image, run(scan())[0].image)


def test_maps_that_nobody_watches_are_not_made():
    calls = []

    def score(x, restoration, mask=None):
        calls.append(1)
        return (x - restoration.image).abs()

    sampler = Harmonised(**{**SMALL, "score": score})
    sampler(scan(), GaussianDenoiser(), white_noise, generator=rng())
    assert len(calls) == 2


def test_single_precision_and_double_agree():
    x = scan()
    noise = white_noise(x, generator=rng())
    fixed = {"noise": lambda like, t=None, *, generator: noise.to(like.dtype), "step": "ddim"}
    single, double = run(x, **fixed)[0], run(x.double(), **fixed)[0]
    assert double.image.dtype == torch.float64
    torch.testing.assert_close(single.image.double(), double.image, atol=1e-4, rtol=0)


def test_a_blend_is_a_step_that_heeds_no_state():
    x, x_hat, z = scan(), scan(seed=6), scan(seed=7)
    blend = Blend(x, torch.full((2, 1, 24, 20), 0.25))
    answers = [blend(state, x_hat, 30, 20, SCHEDULE, z) for state in (x, z)]
    assert torch.equal(*answers)
    torch.testing.assert_close(answers[0], SCHEDULE.add_noise(0.25 * x_hat + 0.75 * x, z, 20))
    assert blend.draws(20)
    assert not Blend(x, x, fixed_noise=z).draws(20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 250}, r"expected harmonisation levels at or below level 250, got \[300, 150, 50\]"),
        ({"watch": [400]}, r"expected watched levels at or below level 350, got \[400\]"),
        ({"harmonise": [0]}, "harmonisation levels must be at least 1, got 0"),
        ({"watch": 0}, "watch must be at least 1, got 0"),
        ({"steps": 1}, "expected steps of at least 2 to harmonise between two of them, got 1"),
        ({"normalise": "sum"}, r"normalise must be one of \('max', 'none'\), got 'sum'"),
        ({"renoise": "old"}, r"renoise must be one of \('fixed', 'fresh'\), got 'old'"),
        ({"rule": "last"}, r"rule must be one of \('next', 'same'\), got 'last'"),
        ({"width": 4}, "expected width odd and at least 1, got 4"),
        ({"score": {"window": 3}}, "expected a score with a name, got {'window': 3}"),
        ({"eta": 0.5}, "eta belongs to step 'ddim'"),
    ],
)
def test_options_out_of_range_raise(options, message):
    with pytest.raises(ValueError, match=message):
        SAMPLERS.build("harmonised", **options)


@pytest.mark.parametrize("harmonise", ["300", 300, None, [1.5]])
def test_levels_that_are_no_integers_raise(harmonise):
    with pytest.raises(ValueError, match=r"expected .* integer"):
        SAMPLERS.build("harmonised", harmonise=harmonise)
