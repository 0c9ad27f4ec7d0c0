"""Mask, stitch and re-sample: what is renewed, what it costs, and whom it leaves alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.capabilities import attach_networks
from diffad.denoise import bind
from diffad.registry import SCORES, UnknownNameError
from diffad.samplers.chain import Chain
from diffad.samplers.likelihood import dilate_region, find_suspects
from diffad.samplers.repaint import RePaint, list_moves
from diffad.samplers.resampled import Resampled
from diffad.types import Example, Reconstruction
from tests.helpers.toys import (
    GaussianDenoiser,
    Toy,
    WienerDenoiser,
    filtered,
    linear_schedule,
    recorder,
    smooth_power,
    white_noise,
)

FLAT = {"2-D": (3, 1, 12, 10), "3-D": (3, 2, 7, 8, 6)}
WAY = {"level": 20, "steps": 4, "repeats": 2}
MOVES = 3 * 2 + 1


class Capped:
    """A coarse sampler that knows healthy tissue: nothing of it is brighter than 0.5."""

    def __call__(self, x, denoiser, noise, *, generator, mask=None, on_step=None):
        return Reconstruction(x.clamp(max=0.5), nfe=0)


class Told(Toy):
    """Answers what it was told of each item."""

    def __call__(self, x_t, t, **cond):
        super().__call__(x_t, t)
        return cond["value"].expand_as(x_t)

    def estimate(self, x_t, t):
        return x_t


def images(shape):
    """Three images, of which the middle one has no voxel above 0.5."""
    x = torch.rand(shape, generator=torch.Generator().manual_seed(5)) - 0.6
    x[0, :, 2:4, 3:5], x[2, :, 5:7, :2] = 1.0, 0.9
    return x


@pytest.fixture(params=FLAT.values(), ids=FLAT)
def x(request):
    return images(request.param)


def sampler(**options):
    made = {"coarse": Capped(), "score": {"name": "l1"}, "threshold": 0.1, "dilate": 1, **WAY, **options}
    return Resampled(**made)


def run(made, x, generators, seeds=(1, 2, 3), denoiser=None, **options):
    return made(x, denoiser or GaussianDenoiser(), white_noise, generator=generators(*seeds), **options)


def lesions(x):
    return (x > 0.7).any(1, keepdim=True)


def test_what_is_bright_is_renewed_and_the_rest_is_the_image(x, generators):
    found = run(sampler(), x, generators)
    changed = (found.image != x).any(1, keepdim=True)
    assert torch.equal(changed, lesions(x))
    assert torch.equal(found.map > 0, lesions(x))


def test_a_batch_equals_its_items_although_one_is_left_out(x, generators):
    together = run(sampler(), x, generators).image
    assert torch.equal(together[1], x[1])
    for i in range(3):
        assert torch.equal(
            run(sampler(), x[i : i + 1], generators, seeds=(i + 1,)).image, together[i : i + 1]
        )


def test_what_others_need_does_not_change_the_noise_of_an_item(x, generators):
    worse = x.clone()
    worse[1] = 1.0
    assert torch.equal(
        run(sampler(), worse, generators).image[[0, 2]], run(sampler(), x, generators).image[[0, 2]]
    )


def test_items_without_suspects_cost_the_coarse_pass_alone(x, generators):
    denoiser = GaussianDenoiser()
    found = run(sampler(), x, generators, denoiser=denoiser)
    assert (denoiser.items, denoiser.calls) == (2 * MOVES, MOVES)
    assert found.nfe == MOVES
    coarse = GaussianDenoiser()
    never = sampler(coarse={"name": "chain", "level": 20, "steps": 4}, threshold=9.0)
    healthy = run(never, x, generators, denoiser=coarse)
    assert coarse.items == 4 * len(x)
    assert healthy.nfe == 4
    assert torch.equal(healthy.image, x)


def test_conditions_stay_with_their_items(x, generators):
    value = torch.tensor([-0.9, -0.5, -0.1]).reshape(3, *[1] * (x.ndim - 1))
    found = run(sampler(), x, generators, denoiser=bind(Told(), {"value": value}))
    expected = torch.where(lesions(x), value, x)
    torch.testing.assert_close(found.image, expected)


def test_a_region_that_is_given_is_renewed_instead(x, generators):
    region = torch.zeros_like(x[:, :1])
    region[1, :, :2] = 0.5
    plain = sampler()
    told = plain.restricted_to(region)
    found = run(told, x, generators)
    assert torch.equal((found.image != x).any(1, keepdim=True), region >= 0.5)
    assert torch.equal(found.map, run(plain, x, generators).map)
    assert torch.equal(run(plain, x, generators).image[1], x[1])


def test_a_region_or_mask_of_another_shape_raises(x, generators):
    two = torch.ones_like(x[:2, :1])
    with pytest.raises(ValueError, match=r"expected mask of shape \(3, 1, .* got \(2, 1"):
        run(sampler(), x, generators, mask=two)
    with pytest.raises(ValueError, match=r"expected region of shape \(3, 1, .* got \(2, 1"):
        run(sampler().restricted_to(two), x, generators)


def test_a_mask_that_covers_a_brain_raises_where_asked_for(x, generators):
    brain = lesions(x)
    brain[1] = True
    message = "leaves some brain as context .* covers all of it in item 0; a higher threshold may help"
    with pytest.raises(ValueError, match=message):
        run(sampler(whole="error"), x, generators, mask=brain)
    sampled = run(sampler(), x, generators, mask=brain).image
    assert not torch.equal(sampled[0], x[0])


def test_an_item_without_brain_is_left_alone(x, generators):
    found = run(sampler(threshold=None), x, generators, mask=torch.zeros_like(x[:, :1]))
    assert torch.equal(found.image, x)
    assert not found.map.any()


def test_only_the_brain_can_be_suspicious(x, generators):
    brain = torch.ones_like(x[:, :1])
    brain[0] = ~lesions(x)[0]
    found = run(sampler(), x, generators, mask=brain)
    assert torch.equal(found.image[0], x[0])
    assert not torch.equal(found.image[2], x[2])


def test_the_stitched_start_differs_from_the_coarse_one_outside_the_mask_alone(x, generators):
    dull = x.clone()
    dull[:, :, -1] = 0.55  # the coarse twin differs here too, but below the threshold
    starts = {}
    for start in ("coarse", "stitched"):
        records, on_step = recorder()
        run(sampler(start=start), dull, generators, on_step=on_step)
        starts[start] = records[0].x_t
    same = (starts["coarse"] == starts["stitched"]).all(1, keepdim=True)
    row = torch.zeros_like(same)
    row[[0, 2], :, -1] = True
    assert torch.equal(~same, row & ~lesions(dull))


def test_watchers_see_whole_batches_in_which_the_rest_stays(x, generators):
    records, on_step = recorder()
    found = run(sampler(), x, generators, on_step=on_step)
    assert len(records) == MOVES
    assert all(torch.equal(state[1], x[1]) for r in records for state in (r.x_t, r.x_hat, r.x_s))
    assert [(r.t, r.s) for r in records[:3]] == [(20, 15), (20, 15), (15, 10)]
    assert torch.equal(records[-1].x_s, found.image)


class Network:
    """A part that keeps what it is handed."""

    def __init__(self, part):
        self.part, self.networks = part, None

    def attach_networks(self, networks):
        self.networks = networks

    def __call__(self, *args, **options):
        return self.part(*args, **options)


def test_trained_networks_reach_the_coarse_sampler_and_the_score():
    coarse, score = Network(Capped()), Network(SCORES.build("l1"))
    attach_networks(sampler(coarse=coarse, score=score), {"network": 1})
    assert coarse.networks == score.networks == {"network": 1}


def test_calibration_sees_the_likelihood_that_a_scan_is_cut_at(x, generators):
    options = {"coarse": {"name": "chain", "level": 20, "steps": 4}, "score": None, "threshold": None}
    big = torch.nn.functional.interpolate(x, scale_factor=2)
    made = sampler(**options)
    first, score = made.calibrating()
    brain = torch.ones_like(big[:, :1])
    found = run(first, big, generators, mask=brain)
    likelihood = score(big / 2 + 0.5, found, brain)
    assert torch.equal(likelihood, run(made, big, generators, mask=brain).map)
    assert likelihood.max() > 0
    assert not made.calibrated()
    assert sampler().calibrated()


def test_the_first_pass_is_the_coarse_sampler(x, generators):
    chain = Chain(20, 4)
    first, _ = sampler(coarse=chain).calibrating()
    assert torch.equal(run(first, x, generators).image, run(chain, x, generators).image)


def test_training_examples_are_those_of_the_coarse_sampler(x, generators):
    boxes = {"name": "patched", "box": 3}
    made = sampler(coarse=boxes).example(
        x,
        torch.ones_like(x[:, :1]),
        torch.tensor([5] * 3),
        white_noise,
        linear_schedule(),
        generators(1, 2, 3),
    )
    assert isinstance(made, Example)
    assert made.region is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": -0.1}, "threshold must be finite and at least 0, got -0.1"),
        ({"threshold": float("nan")}, "threshold must be finite"),
        ({"share": 0.0}, r"share must be in \(0, 1\), got 0.0"),
        ({"fpr": 1.0}, r"fpr must be in \(0, 1\), got 1.0"),
        ({"dilate": 2}, "dilate must be odd, got 2"),
        ({"dilate": 0}, "dilate must be at least 1"),
        ({"level": 0}, "level must be at least 1"),
        ({"steps": 21}, "steps must be in 1..20"),
        ({"repeats": 0}, "repeats must be at least 1"),
        ({"start": "noise"}, "start must be 'coarse' or 'stitched'"),
        ({"whole": "skip"}, "whole must be 'error' or 'sample'"),
        ({"reference": True}, "reference makes one move per level, got steps=4"),
        ({"coarse": {"level": 5}}, "expected a coarse sampler with a name"),
        ({"score": {"window": 5}}, "expected a score with a name"),
    ],
    ids=str,
)
def test_options_out_of_range_raise(options, message):
    with pytest.raises(ValueError, match=message):
        sampler(**options)


def test_parts_must_be_registered():
    with pytest.raises(UnknownNameError, match="unknown sampler 'chian'"):
        Resampled(coarse={"name": "chian"})


@settings(deadline=None, max_examples=30)
@given(
    values=st.lists(st.integers(0, 30), min_size=1, max_size=60),
    share=st.floats(0.01, 0.99),
    inside=st.integers(0, 60),
)
def test_at_most_the_share_of_a_brain_is_suspicious(values, share, inside):
    likelihood = torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, -1)
    brain = torch.arange(len(values)).reshape(1, 1, 1, -1) < inside
    found = find_suspects(likelihood, None, share, brain)
    assert not (found & ~brain).any()
    assert int(found.sum()) <= share * int(brain.sum()) + 1e-6


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 99), width=st.sampled_from([1, 3, 5]), volume=st.booleans())
def test_a_region_only_grows(seed, width, volume):
    shape = (2, 1, 6, 7, 5) if volume else (2, 1, 9, 8)
    region = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) > 0.97
    grown = dilate_region(region, width)
    assert (grown >= region).all()
    assert int(grown.sum()) <= int(region.sum()) * width ** (len(shape) - 2)


def gaussian_variance(std, levels, schedule):
    """Variance of a voxel that starts as N(0, std^2) and goes down these moves with the exact estimate."""
    abar = schedule.alpha_bar
    v = float(abar(next(iter(levels))[0]) * std**2 + 1 - abar(next(iter(levels))[0]))
    for t, s, again in levels:
        a, b = float(abar(t)), float(abar(s))
        ratio = a / b
        v = ratio * v + 1 - ratio if again else v
        estimate = a**0.5 * std**2 / (a * std**2 + 1 - a)
        gain = b**0.5 * (1 - ratio) / (1 - a) * estimate + ratio**0.5 * (1 - b) / (1 - a)
        v = gain**2 * v + (1 - b) / (1 - a) * (1 - ratio)
    return v


@pytest.mark.parametrize("repeats", [1, 5])
def test_the_exact_score_keeps_the_variance_of_what_is_unknown(repeats):
    rng = torch.Generator().manual_seed(3)
    x, start = (0.5 * white_noise(torch.zeros(8, 1, 64, 64), generator=rng) for _ in range(2))
    m = torch.zeros_like(x, dtype=torch.bool)
    m[..., 32:] = True
    moves = list_moves(50, None, repeats, False)
    painted = RePaint(GaussianDenoiser(0.5), white_noise, rng, moves)(x, start, m)[m]
    expected = gaussian_variance(0.5, moves, linear_schedule())
    assert float(painted.var()) == pytest.approx(expected, rel=0.03)
    assert expected == pytest.approx(0.25, rel=0.04)


def test_repeats_bring_the_seam_to_what_neighbours_differ_by():
    power = smooth_power(24, 24, width=3.0)
    x, other = (
        filtered(
            white_noise(torch.zeros(64, 1, 24, 24), generator=torch.Generator().manual_seed(s)), power.sqrt()
        )
        for s in (0, 1)
    )
    m = torch.zeros_like(x, dtype=torch.bool)
    m[..., 8:16, 8:16] = True

    def seam(z):
        return float((z[..., 8, 8:16] - z[..., 7, 8:16]).square().mean())

    apart = {}
    for repeats in (1, 5):
        moves = list_moves(400, 40, repeats, False)
        paint = RePaint(WienerDenoiser(power), white_noise, torch.Generator().manual_seed(2), moves)
        apart[repeats] = abs(seam(paint(x, other, m)) - seam(x))
    assert seam(torch.where(m, other, x)) > 5 * seam(x)
    assert apart[5] < 0.7 * apart[1] < 0.1
