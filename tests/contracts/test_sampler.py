"""What every registered sampler promises."""

import inspect

import pytest
import torch

from diffad.protocols import Sampler
from diffad.registry import SAMPLERS
from diffad.schedule import Schedule, StraightSchedule
from diffad.types import Reconstruction, StepRecord
from tests.helpers.toys import (
    ConstantDenoiser,
    GaussianDenoiser,
    MarkingDenoiser,
    linear_schedule,
    recorder,
    white_noise,
)

# options that keep a run small: one row for each sampler
OPTIONS = {
    "chain": {"level": 20, "steps": 4, "step": "ddim", "eta": 0.5},
    "dpm_solver": {"level": 20, "steps": 4},
    "ensemble": {
        "members": 2,
        "samplers": [{"name": "oneshot", "levels": 20}, {"name": "chain", "level": 5}],
    },
    "levels": {"first": 16, "last": 20, "stride": 2, "at_once": 2},
    "direct": {"sigma": 0.2},
    "gated": {"level": 20, "steps": 4},
    "harmonised": {
        "level": 20,
        "steps": 4,
        "step": "ddim",
        "eta": 0.5,
        "harmonise": [15, 10],
        "watch": [20, 5],
        "score": {"name": "product", "scores": [{"name": "l1"}, {"name": "ssim", "window": 3}]},
        "width": 3,
        "renoise": "fresh",
    },
    "fusion": {
        "level": 20,
        "steps": 4,
        "saliency": {"name": "intensity"},
        "share": 0.3,
        "dilate": 3,
        "members": 2,
    },
    "inversion": {"level": 20, "steps": 4, "refine": 1},
    "itermask": {"threshold": 0.0, "share": 0.5},
    "oneshot": {"levels": [5, 20], "repeats": 2},
    "patched": {"box": 3, "overlap": 0.3, "inner": {"name": "oneshot", "levels": [5, 20]}},
    "severities": {"levels": [20, 5]},
    "resampled": {
        "coarse": {"name": "chain", "level": 20, "steps": 4},
        "score": {"name": "l1"},
        "dilate": 1,
        "level": 20,
        "steps": 3,
        "repeats": 2,
    },
}
# samplers that move what the network marks
MARKED = ["gated"]
# samplers that look once at the image itself
ONE_LOOK = ["direct"]
# samplers that ask at one level, which means nothing
LEVELLESS = [*ONE_LOOK, "itermask"]
# samplers that draw no noise
NOISELESS = [*ONE_LOOK, "inversion", "severities"]
NOISY = [name for name in OPTIONS if name not in NOISELESS]
SHAPES = {"2-D": (3, 2, 8, 6), "3-D": (3, 1, 4, 6, 5)}


@pytest.fixture(params=sorted(SAMPLERS))
def name(request):
    return request.param


@pytest.fixture
def sampler(name):
    return SAMPLERS.build(name, **OPTIONS[name])


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def x(request):
    return torch.rand(request.param, generator=torch.Generator().manual_seed(9)) * 2 - 1


def mark_for(name, denoiser):
    """Let a denoiser mark all voxels, for samplers that need marks."""
    return MarkingDenoiser(denoiser) if name in MARKED else denoiser


@pytest.fixture
def run(name, sampler, x, generators):
    """Run the sampler on ``x`` with one seed for each item."""

    def call(image=x, seeds=(1, 2, 3), denoiser=None, noise=white_noise, **options):
        inner = mark_for(name, denoiser or GaussianDenoiser())
        return sampler(image, inner, noise, generator=generators(*seeds), **options)

    return call


def test_every_sampler_has_a_row_of_options():
    assert set(OPTIONS) == set(SAMPLERS)


def test_options_stay_readable_under_their_names(name):
    sampler, default = SAMPLERS.build(name, **OPTIONS[name]), SAMPLERS.build(name)
    assert isinstance(sampler, Sampler)
    for option in inspect.signature(SAMPLERS[name]).parameters:
        assert hasattr(default, option)


def test_twin_is_shaped_like_the_image(run, x):
    restoration = run()
    assert isinstance(restoration, Reconstruction)
    assert restoration.image.shape == x.shape
    assert restoration.image.dtype == x.dtype
    assert restoration.image.isfinite().all()


def test_same_seeds_give_the_same_twin(run):
    assert torch.equal(run().image, run().image)


@pytest.mark.parametrize("name", NOISY, indirect=True)
def test_other_seeds_give_another_twin(run):
    assert not torch.equal(run().image, run(seeds=(4, 5, 6)).image)


def test_item_alone_equals_item_in_batch(run, x):
    together = run().image
    for i, seed in enumerate((1, 2, 3)):
        assert torch.equal(run(x[i : i + 1], seeds=(seed,)).image[0], together[i])


def test_order_of_the_batch_does_not_matter(run, x):
    assert torch.equal(run(x[[2, 0, 1]], seeds=(3, 1, 2)).image, run().image[[2, 0, 1]])


def test_one_generator_serves_a_whole_batch(name, sampler, x):
    rng = torch.Generator()
    images = [
        sampler(x, mark_for(name, GaussianDenoiser()), white_noise, generator=rng.manual_seed(0)).image
        for _ in range(2)
    ]
    assert torch.equal(*images)
    assert not torch.equal(images[0][0], images[0][1])


def test_global_random_state_is_left_alone(run):
    before = torch.get_rng_state()
    run()
    assert torch.equal(before, torch.get_rng_state())


def test_image_is_not_mutated_nor_shared(run, x):
    before = x.clone()
    run(denoiser=ConstantDenoiser(x)).image.zero_()
    assert torch.equal(x, before)


def test_a_denoiser_that_knows_the_image_gets_it_back(run, x):
    torch.testing.assert_close(run(denoiser=ConstantDenoiser(x)).image, x)


def test_nfe_is_what_each_item_cost(run, x):
    denoiser = GaussianDenoiser()
    restoration = run(denoiser=denoiser)
    assert restoration.nfe * x.shape[0] == denoiser.items > 0


def test_on_step_sees_every_move_and_changes_nothing(run, x, name):
    records, on_step = recorder()
    watched = run(on_step=on_step)
    assert torch.equal(watched.image, run().image)
    assert len(records) == 1 if name in ONE_LOOK else len(records) > 1
    assert records[-1].s == 0
    for record in records:
        assert isinstance(record, StepRecord)
        assert 0 <= record.s <= 1000
        assert 0 < record.t <= 1000
        assert record.x_t.shape == record.x_hat.shape == record.x_s.shape == x.shape


def test_two_runs_of_one_sampler_share_no_state(run, x):
    first = run().image
    run(x[:1], seeds=(8,))
    assert torch.equal(run().image, first)


def test_no_graph_is_kept(run, x):
    assert not run(x.clone().requires_grad_()).image.requires_grad


def test_mask_is_accepted(run, x):
    mask = torch.ones_like(x[:, :1])
    assert run(mask=mask).image.shape == x.shape


@pytest.mark.parametrize("seeds", [(), (1, 2), (1, 2, 3, 4)])
def test_wrong_number_of_generators_raises(run, seeds):
    with pytest.raises(ValueError, match=f"expected one generator for each of 3 items, got {len(seeds)}"):
        run(seeds=seeds, noise=lambda like, t=None, *, generator: torch.zeros_like(like))


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (1, 1, 2, 2, 2, 2)])
def test_images_of_other_shapes_raise(run, shape):
    with pytest.raises(ValueError, match=r"expected x of shape \(B, C, \*S\) with 2 or 3 spatial axes, got"):
        run(torch.zeros(shape))


def test_integer_images_raise(run, x):
    with pytest.raises(TypeError, match=r"expected x of a floating point dtype, got torch\.int64"):
        run(x.long())


@pytest.mark.parametrize("name", [name for name in OPTIONS if name not in LEVELLESS], indirect=True)
def test_levels_beyond_the_schedule_raise(run):
    with pytest.raises(ValueError, match="expected levels up to 10 of the denoiser, got 20"):
        run(denoiser=GaussianDenoiser(schedule=linear_schedule(10)))


# those that take the scan for a state, of whatever size, are left out
@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - {*LEVELLESS, *MARKED, "severities"}), indirect=True)
def test_straight_paths_are_diffusion_at_another_size(name, run):
    """The same levels as diffusion, whose states have size 1: all that is estimated stays the same."""
    straight = StraightSchedule.of(60)
    twins = [
        run(denoiser=GaussianDenoiser(schedule=s)) for s in (straight, Schedule(straight.alphas_cumprod))
    ]
    assert twins[0].nfe == twins[1].nfe
    torch.testing.assert_close(twins[0].image, twins[1].image, rtol=1e-4, atol=1e-5)
