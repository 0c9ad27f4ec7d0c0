"""Several twins of one scan, in shared batches."""

import pytest
import torch

from diffad.capabilities import restrict_to_region
from diffad.denoise import bind
from diffad.registry import SAMPLERS, UnknownNameError
from diffad.samplers.chain import Chain
from diffad.samplers.ensemble import Ensemble
from diffad.samplers.moments import RunningMoments
from diffad.samplers.oneshot import OneShot
from diffad.samplers.streams import SeedStreams
from diffad.types import Example
from tests.helpers.toys import ConstantDenoiser, GaussianDenoiser, Toy, linear_schedule, recorder, white_noise

X = torch.rand(3, 2, 6, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
CHAIN = {"name": "chain", "level": 20, "steps": 4}
HARMONISED = {
    "name": "harmonised",
    "level": 20,
    "steps": 4,
    "harmonise": [10],
    "watch": [20],
    "width": 3,
    "score": {"name": "l1"},
}


def members(sampler, x, rng, denoiser=None):
    """The twins of all members: what the ensemble would hold if it kept them."""
    streams, denoiser = SeedStreams.draw(rng, len(x)), denoiser or GaussianDenoiser()
    return torch.stack(
        [
            part(
                x, denoiser or GaussianDenoiser(), white_noise, generator=streams.make_generators(n, k)
            ).image
            for n, part in enumerate(sampler._parts)
            for k in range(sampler.members)
        ]
    )


@pytest.mark.parametrize(
    "options",
    [
        {"inner": CHAIN},
        {"inner": {"name": "oneshot", "levels": [5, 50], "repeats": 2}},
        {"samplers": [CHAIN, {"name": "levels", "first": 5, "last": 9}]},
        {"inner": {"name": "patched", "box": 3, "inner": {"name": "oneshot", "levels": 50}}},
    ],
    ids=str,
)
def test_shared_batches_hold_the_members_one_would_run_apart(options, generators):
    sampler, denoiser = Ensemble(3, **options), GaussianDenoiser()
    found = sampler(X, denoiser, white_noise, generator=generators(1, 2, 3))
    twins = members(sampler, X, generators(1, 2, 3))
    torch.testing.assert_close(found.image, twins.mean(0))
    torch.testing.assert_close(found.std, twins.std(0), rtol=1e-3, atol=1e-6)
    assert found.nfe * len(X) == denoiser.items


def test_all_members_share_a_batch(generators):
    denoiser = GaussianDenoiser()
    found = Ensemble(5, CHAIN)(X, denoiser, white_noise, generator=generators(1, 2, 3))
    assert denoiser.calls == 4
    assert found.nfe == 20


def test_more_members_leave_the_first_as_they_were(generators):
    few, many = (members(Ensemble(k, CHAIN), X, generators(1, 2, 3)) for k in (2, 4))
    assert torch.equal(few, many[:2])


def test_members_differ_and_samplers_do_too(generators):
    twins = members(Ensemble(2, samplers=[CHAIN, CHAIN]), X, generators(1, 2, 3)).flatten(1)
    assert float(torch.cdist(twins, twins)[~torch.eye(4, dtype=torch.bool)].min()) > 0


def test_spread_of_independent_draws_is_known(generators):
    """An exact denoiser followed from pure noise has members of standard deviation .5."""
    inner = {"name": "dpm_solver", "level": 1000, "steps": 40}
    x = torch.zeros(1, 1, 16, 16)
    found = Ensemble(16, inner)(x, GaussianDenoiser(0.5), white_noise, generator=generators(1))
    assert float(found.std.square().mean()) == pytest.approx(0.25, rel=0.1)
    assert float(found.image.std()) == pytest.approx(0.5 / 4, rel=0.15)


def test_members_that_agree_have_no_spread(generators):
    found = Ensemble(3, CHAIN)(X, ConstantDenoiser(X), white_noise, generator=generators(1, 2, 3))
    assert float(found.std.max()) < 1e-6


def test_a_single_member_has_no_spread_to_tell(generators):
    found = Ensemble(1, CHAIN)(X, GaussianDenoiser(), white_noise, generator=generators(1, 2, 3))
    assert found.std is None


def test_each_member_reports_its_moves(generators):
    records, on_step = recorder()
    sampler = Ensemble(2, samplers=[CHAIN, {"name": "oneshot", "levels": 50}])
    sampler(X, GaussianDenoiser(), white_noise, generator=generators(1, 2, 3), on_step=on_step)
    assert [r.t for r in records] == [20, 20, 15, 15, 10, 10, 5, 5, 50, 50]
    twins = members(sampler, X, generators(1, 2, 3))
    last = torch.stack([r.x_s for r in records if r.s == 0])
    torch.testing.assert_close(last, twins)


def test_conditions_and_masks_follow_their_item(generators):
    """The k copies of a batch keep its order, so that each item meets its own condition and mask."""
    seen = []

    class Told(Toy):
        def __call__(self, x_t, t, *, own):
            return torch.zeros_like(x_t) + own[:, None, None, None]

    class Looking(OneShot):
        def __call__(self, x, *args, mask, **options):
            seen.append(mask)
            return super().__call__(x, *args, mask=mask, **options)

    own = torch.tensor([0.1, 0.2, 0.3])
    mask = torch.rand(3, 1, 6, 5) > 0.5
    found = Ensemble(2, Looking([5, 50]))(
        X, bind(Told(), {"own": own}), white_noise, generator=generators(1, 2, 3), mask=mask
    )
    torch.testing.assert_close(found.image, own[:, None, None, None].expand_as(X))
    assert torch.equal(seen[0], torch.cat([mask, mask]))


def test_training_examples_are_those_of_the_first_sampler(generators):
    class Own(Chain):
        def example(self, x, mask, t, noise, schedule, generator):
            return Example(x, x, x, mask)

    t, mask = torch.tensor([5, 50, 500]), torch.ones(3, 1, 6, 5, dtype=torch.bool)
    call = (X, mask, t, white_noise, linear_schedule())
    assert Ensemble(2, Own(20)).example(*call, generators(1, 2, 3)).region is mask
    plain = Ensemble(2, CHAIN).example(*call, generators(1, 2, 3))
    z = white_noise(X, generator=generators(1, 2, 3))
    assert torch.equal(plain.z, z)
    assert torch.equal(plain.x_t, linear_schedule().add_noise(X, z, t))


def test_looks_tell_their_spread(generators):
    records, on_step = recorder()
    found = OneShot([5, 50, 100])(
        X, GaussianDenoiser(), white_noise, generator=generators(1, 2, 3), on_step=on_step
    )
    torch.testing.assert_close(found.std, torch.stack([r.x_hat for r in records]).std(0))
    assert OneShot(5)(X, GaussianDenoiser(), white_noise, generator=generators(1, 2, 3)).std is None


def test_moments_survive_a_large_offset():
    x = 1000 + torch.rand(50, 1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    moments = RunningMoments()
    for image in x:
        moments.add(image)
    torch.testing.assert_close(moments.mean, x.mean(0))
    torch.testing.assert_close(moments.std, x.double().std(0).float(), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"members": 0}, ValueError, "members must be at least 1, got 0"),
        ({"members": 2.0}, TypeError, r"expected an integer for members, got 2\.0"),
        ({"samplers": []}, ValueError, "expected at least one sampler, got none"),
        ({"inner": {"level": 5}}, ValueError, r"expected a sampler with a name, got \{'level': 5\}"),
        ({"inner": CHAIN, "samplers": [CHAIN]}, ValueError, "expected inner or samplers, got both"),
        ({"inner": {"name": "chian"}}, UnknownNameError, "did you mean 'chain'"),
    ],
)
def test_wrong_options_raise(options, error, message):
    with pytest.raises(error, match=message):
        Ensemble(**options)


def test_records_of_members_carry_the_maps_that_their_sampler_made(generators):
    records, on_step = recorder()
    sampler = Ensemble(2, HARMONISED)
    sampler(X, GaussianDenoiser(), white_noise, generator=generators(1, 2, 3), on_step=on_step)
    streams, alone = SeedStreams.draw(generators(1, 2, 3), len(X)), []
    for k in range(2):
        part, watch = SAMPLERS.build(**HARMONISED), recorder()
        part(X, GaussianDenoiser(), white_noise, generator=streams.make_generators(0, k), on_step=watch[1])
        alone.append(watch[0])
    expected = [record.map for move in zip(*alone, strict=True) for record in move]
    assert sum(m is not None for m in expected) == 2 * 2
    assert [r.map is None for r in records] == [m is None for m in expected]
    for record, map_alone in zip(records, expected, strict=True):
        assert map_alone is None or torch.equal(record.map, map_alone)


def test_region_reaches_every_member(generators):
    region = torch.zeros(3, 1, 6, 5)
    region[0, :, 1:3, 1:3], region[2, :, 3:, :2] = 1, 1
    sampler = {"name": "fusion", "level": 20, "steps": 2}
    found = restrict_to_region(Ensemble(2, sampler), region)(
        X, GaussianDenoiser(), white_noise, generator=generators(1, 2, 3)
    )
    assert torch.equal((found.image != found.reference).any(1, keepdim=True), region.bool())
    assert torch.equal(found.map, region)
