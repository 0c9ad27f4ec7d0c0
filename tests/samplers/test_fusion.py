"""Fused chains: what each may change, what they share, and who tells them where."""

import pytest
import torch

from diffad.capabilities import attach_networks
from diffad.samplers.fusion import Fusion
from diffad.samplers.inversion import Inversion
from tests.helpers.toys import CountingNoise, GaussianDenoiser, linear_schedule, recorder, white_noise

X = torch.rand(2, 2, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
REGION = torch.zeros(2, 1, 8, 8)
REGION[..., 2:5, 3:7] = 1


class Steered(GaussianDenoiser):
    """A denoiser whose guidance moves every estimate, and which counts the calls of both."""

    def __init__(self):
        super().__init__()
        self.plain = GaussianDenoiser()

    def estimate(self, x_t, t):
        return super().estimate(x_t, t) + 0.1

    def unguided(self):
        return self.plain


class Equipped:
    """A saliency that knows only what it was handed."""

    def __init__(self):
        self.networks = self.began = None

    def attach_networks(self, networks):
        self.networks = networks

    def begin(self, denoiser, noise, generator):
        self.began = denoiser, noise, len(generator)
        return lambda x, mask=None: x * mask


def run(sampler, seeds=(1, 2), denoiser=None, x=X, noise=white_noise, **options):
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return sampler(x, denoiser or GaussianDenoiser(), noise, generator=generators, **options)


def fusion(region=REGION, **options):
    return Fusion(**{"level": 100, "steps": 5, **options}).restricted_to(region)


@pytest.mark.parametrize("options", [{}, {"start": "noise"}, {"members": 3}, {"refine": 1}])
def test_outside_the_region_the_twin_is_the_reconstruction(options):
    found = run(fusion(**options))
    assert torch.equal((found.image != found.reference).any(1, keepdim=True), REGION.bool())


def test_members_agree_where_none_is_edited():
    std = run(fusion(members=3)).std
    assert torch.equal((std > 0).all(1, keepdim=True), REGION.bool())
    assert torch.equal((std > 0).any(1, keepdim=True), REGION.bool())


def test_reconstruction_is_the_round_trip_of_the_inversion():
    expected = run(Inversion(100, 5, refine=1)).image
    assert torch.equal(run(fusion(refine=1)).reference, expected)


def test_reconstruction_knows_neither_seed_nor_region():
    several = [run(fusion(region), seeds) for region, seeds in [(REGION, (1, 2)), (1 - REGION, (8, 9))]]
    assert torch.equal(several[0].reference, several[1].reference)
    assert not torch.equal(several[0].image, several[1].image)


def test_an_item_without_a_region_is_its_reconstruction():
    region = REGION.clone()
    region[1] = 0
    found = run(fusion(region))
    assert torch.equal(found.image[1], found.reference[1])
    assert not torch.equal(found.image[0], found.reference[0])


def test_a_soft_region_blends_at_every_level():
    found = run(fusion(torch.full_like(REGION, 0.5), level=10, steps=1))
    assert torch.equal(found.map, torch.full_like(X[:, :1], 0.5))
    u_hat = found.reference.clamp(-1, 1)
    torch.testing.assert_close(found.image, 0.5 * u_hat + 0.5 * found.reference)


def test_a_region_for_each_channel_leaves_the_others():
    region = torch.cat([REGION, torch.zeros_like(REGION)], dim=1)
    found = run(fusion(region))
    assert torch.equal(found.image[:, 1], found.reference[:, 1])
    assert not torch.equal(found.image[:, 0], found.reference[:, 0])
    assert torch.equal(found.map, REGION.double())


def test_one_call_a_level_takes_all_chains():
    denoiser = GaussianDenoiser()
    found = run(fusion(members=3), denoiser=denoiser)
    assert denoiser.calls == 5 + 5
    assert denoiser.levels[-8:] == [20] * 8
    assert found.nfe == 5 + 5 * 4
    assert found.nfe * len(X) == denoiser.items


@pytest.mark.parametrize(("options", "nfe"), [({}, 15), ({"refine": 2}, 25), ({"start": "noise"}, 10)])
def test_evaluations_are_counted(options, nfe):
    denoiser = GaussianDenoiser()
    assert run(fusion(**options), denoiser=denoiser).nfe == nfe == denoiser.items / len(X)


def test_more_members_leave_the_first_as_it_was():
    records, on_step = recorder()
    several = run(fusion(members=2), on_step=on_step)
    first, second = (record.x_s for record in records[-2:])
    alone = run(fusion())
    assert torch.equal(first, alone.image)
    assert alone.std is None
    torch.testing.assert_close(several.image, (first + second) / 2)
    torch.testing.assert_close(several.std, (first - second).abs() / 2**0.5)


def test_noise_is_drawn_where_a_move_uses_it():
    noise = CountingNoise()
    run(fusion(), noise=noise)
    assert noise.levels == [100, 80, 60, 40]
    noise = CountingNoise()
    run(fusion(start="noise", members=2), noise=noise)
    assert noise.levels == [100, 100, 80, 60, 40]


def test_guidance_steers_the_edit_and_not_the_reconstruction():
    steered = Steered()
    found, plain = run(fusion(), denoiser=steered), run(fusion())
    assert torch.equal(found.reference, plain.reference)
    assert not torch.equal(found.image, plain.image)
    assert (steered.calls, steered.plain.calls) == (5, 5 + 5)
    assert found.nfe * len(X) == steered.items + steered.plain.items


def test_estimates_of_the_edit_are_clamped_and_those_of_the_reconstruction_not():
    wide = GaussianDenoiser(5.0)
    clipped, free = (run(fusion(clip=clip), denoiser=wide, x=2 * X) for clip in (True, False))
    inside = REGION.bool().expand_as(X)
    assert clipped.image[inside].abs().max() <= 1 < free.image[inside].abs().max()
    assert torch.equal(clipped.reference, free.reference)
    assert clipped.reference.abs().max() > 1


def test_the_most_salient_voxels_are_rewritten():
    found = run(Fusion(100, 5, saliency={"name": "intensity"}, share=0.1, dilate=1))
    bright = (X + 1) / (X + 1).amax((2, 3), keepdim=True)
    least = bright.flatten(1).topk(13).values[:, -1]
    top = (bright >= least[:, None, None, None]).any(1, keepdim=True)
    assert torch.equal(found.map.bool(), top)
    assert torch.equal((found.image != found.reference).any(1, keepdim=True), top)


def test_a_saliency_may_have_a_region_for_each_channel():
    options = {"saliency": {"name": "intensity"}, "dilate": 1}
    own, shared = (run(Fusion(100, 5, per_channel=each, **options)) for each in (True, False))
    assert torch.equal(own.map, shared.map)
    assert (own.image != own.reference).sum() == 2 * 13
    assert (shared.image != shared.reference).sum() > 2 * 13


def test_a_saliency_gets_what_it_asks_for():
    saliency, denoiser = Equipped(), GaussianDenoiser()
    sampler = Fusion(100, 5, saliency=saliency, dilate=1)
    attach_networks(sampler, {"classifier": "one"})
    brain = (X[:, :1] > -0.5).float()
    found = run(sampler, denoiser=denoiser, mask=brain)
    assert saliency.networks == {"classifier": "one"}
    assert saliency.began == (denoiser, white_noise, 2)
    assert not found.map[brain == 0].any()


def test_a_region_from_outside_leaves_the_sampler_as_it_was():
    sampler = Fusion(100, 5, saliency={"name": "intensity"})
    before = run(sampler).map
    assert torch.equal(run(sampler.restricted_to(REGION)).map, REGION.double())
    assert torch.equal(run(sampler).map, before)


def test_neither_saliency_nor_region_raises():
    with pytest.raises(ValueError, match="expected a saliency or a region to rewrite, got neither"):
        run(Fusion(100, 5))


def test_regions_that_do_not_fit_raise():
    with pytest.raises(ValueError, match=r"expected region of shape \(2, 1, 8, 8\), got \(1, 1, 8, 8\)"):
        run(fusion(REGION[:1]))
    with pytest.raises(ValueError, match=r"expected region in \[0, 1\], got 0.0 to 2.0"):
        run(fusion(2 * REGION))
    with pytest.raises(ValueError, match=r"expected region in \[0, 1\], got nan to nan"):
        run(fusion(REGION * torch.nan))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"saliency": {"window": 3}}, "expected a saliency with a name"),
        ({"start": "code"}, r"start must be one of \('inversion', 'noise'\), got 'code'"),
        ({"start": "noise", "refine": 1}, "refine belongs to start 'inversion', got 1 with start 'noise'"),
        ({"variance": "learned"}, "variance must be one of"),
        ({"members": 0}, "members must be at least 1, got 0"),
        ({"share": 0}, r"expected share in \(0, 1\), got 0"),
        ({"dilate": 2}, "expected width odd"),
        ({"level": 10, "steps": 20}, "steps must be in 1..10"),
    ],
)
def test_options_out_of_range_raise(options, message):
    with pytest.raises(ValueError, match=message):
        Fusion(**options)


def test_item_alone_equals_item_in_batch_with_a_region_of_its_own():
    together = run(fusion(members=2))
    for i, seed in enumerate((1, 2)):
        alone = run(fusion(REGION[i : i + 1], members=2), (seed,), x=X[i : i + 1])
        for name in ("image", "std", "map", "reference"):
            assert torch.equal(getattr(alone, name)[0], getattr(together, name)[i])


def test_large_and_small_variance_differ_in_the_region_only():
    small, large = (run(fusion(variance=v, level=20, steps=20)) for v in ("fixed_small", "fixed_large"))
    assert torch.equal(small.image.where(~REGION.bool(), 0), large.image.where(~REGION.bool(), 0))
    assert not torch.equal(small.image, large.image)


def test_levels_beyond_the_schedule_raise():
    with pytest.raises(ValueError, match="expected levels up to 50 of the denoiser, got 100"):
        run(fusion(), denoiser=GaussianDenoiser(schedule=linear_schedule(50)))
