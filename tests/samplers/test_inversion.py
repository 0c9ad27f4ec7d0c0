"""DDIM inversion against the flow that is known exactly, and against diffusers."""

from itertools import pairwise

import pytest
import torch

from diffad.denoise import NetworkDenoiser
from diffad.samplers.inversion import Inversion
from tests.helpers.toys import GaussianDenoiser, KnownNetwork, linear_schedule, recorder, white_noise

X = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
STD = 0.5


class Steered(GaussianDenoiser):
    """A denoiser whose guidance moves every estimate by a constant."""

    def __init__(self, by):
        super().__init__(STD)
        self.by, self.plain = by, GaussianDenoiser(STD)

    def estimate(self, x_t, t):
        return super().estimate(x_t, t) + self.by

    def unguided(self):
        return self.plain


class Climbing(KnownNetwork):
    """A network of Gaussian data, whose clean estimates leave [-1, 1] on the way."""

    def __init__(self, prediction="epsilon"):
        super().__init__(GaussianDenoiser(2.0), prediction)


def spread(t):
    """Standard deviation of N(0, STD^2) data at level t; the flow scales every state by their ratio."""
    abar = float(linear_schedule().alpha_bar(t))
    return (abar * STD**2 + 1 - abar) ** 0.5


def restored(sampler, denoiser, **options):
    return sampler(X, denoiser, white_noise, generator=torch.Generator(), **options)


def test_code_converges_to_that_of_the_exact_flow():
    exact = X * spread(500) / spread(0)
    errors = [
        float((Inversion(500, steps).encode(X, GaussianDenoiser(STD)) - exact).abs().max())
        for steps in (50, 100, 200)
    ]
    assert [a / b for a, b in pairwise(errors)] == pytest.approx([2, 2], rel=0.3)


def test_every_refinement_brings_the_round_trip_closer():
    trips = [restored(Inversion(500, 25, refine), GaussianDenoiser(STD)).image for refine in range(4)]
    errors = [float((trip - X).abs().max()) for trip in trips]
    assert all(worse > 3 * better for worse, better in pairwise(errors))


def test_code_equals_that_of_diffusers():
    from diffusers import DDIMInverseScheduler

    other = DDIMInverseScheduler(1000, 1e-4, 0.02, "linear", clip_sample=False)
    other.set_timesteps(1000)
    network, x_t = KnownNetwork(GaussianDenoiser(STD)), X
    for label in other.timesteps[:40]:
        epsilon = network(x_t, label.expand(len(X)))
        x_t = other.step(epsilon, label, x_t).prev_sample
    code = Inversion(40).encode(X, NetworkDenoiser(network, linear_schedule()))
    torch.testing.assert_close(code, x_t, rtol=0, atol=1e-5)


def test_both_ways_ask_about_the_upper_levels_of_the_same_pairs():
    up, down = GaussianDenoiser(STD), GaussianDenoiser(STD)
    inversion = Inversion(100, 4)
    inversion.decode(inversion.encode(X[:1], up), down)
    assert up.levels == [25, 50, 75, 100]
    assert down.levels == [100, 75, 50, 25]


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("refine", [0, 1])
def test_all_predictions_give_one_code(prediction, refine):
    inversion = Inversion(300, 10, refine)
    expected = inversion.encode(X, GaussianDenoiser(2.0))
    denoiser = NetworkDenoiser(Climbing(prediction), linear_schedule(), prediction)
    torch.testing.assert_close(inversion.encode(X, denoiser), expected)


def test_nothing_is_clamped():
    clipping = NetworkDenoiser(Climbing(), linear_schedule(), clip=True)
    plain = clipping.without_clamp()
    code = Inversion(300, 10).encode(1.2 * X, clipping)
    assert torch.equal(code, Inversion(300, 10).encode(1.2 * X, plain))
    twin = Inversion(300, 10).decode(code, clipping)
    assert torch.equal(twin, Inversion(300, 10).decode(code, plain))
    assert twin.abs().max() > 1


def test_guidance_takes_part_on_the_way_back_only():
    inversion, steered = Inversion(200, 5), Steered(by=0.1)
    code = inversion.encode(X, GaussianDenoiser(STD))
    assert torch.equal(inversion.encode(X, steered), code)
    assert steered.calls == 0
    twin = restored(inversion, steered).image
    assert torch.equal(twin, inversion.decode(code, steered))
    assert not torch.equal(twin, restored(inversion, GaussianDenoiser(STD)).image)


def test_a_sweep_encodes_once_and_decodes_as_each_alone():
    inversion, guided = Inversion(200, 5, refine=1), [Steered(by) for by in (0.0, 0.1, 0.3)]
    denoiser = GaussianDenoiser(STD)
    swept = inversion.sweep(X, denoiser, guided)
    assert denoiser.calls == 10
    assert [found.nfe for found in swept] == [15, 5, 5]
    for found, steered in zip(swept, guided, strict=True):
        assert torch.equal(found.image, restored(inversion, steered).image)


def test_a_sweep_of_nothing_is_empty():
    assert Inversion(20, 2).sweep(X, GaussianDenoiser(STD), []) == []


def test_records_are_those_of_the_way_back():
    records, on_step = recorder()
    twin = restored(Inversion(20, 4, refine=2), GaussianDenoiser(STD), on_step=on_step).image
    assert [(record.t, record.s) for record in records] == [(20, 15), (15, 10), (10, 5), (5, 0)]
    assert torch.equal(records[-1].x_s, twin)


@pytest.mark.parametrize(("refine", "nfe"), [(0, 8), (1, 12), (3, 20)])
def test_evaluations_of_both_ways_are_counted(refine, nfe):
    assert restored(Inversion(20, 4, refine), GaussianDenoiser(STD)).nfe == nfe


@pytest.mark.parametrize("refine", [0, 2])
def test_half_precision_survives_the_lowest_level(refine):
    code = Inversion(100, refine=refine).encode(X.bfloat16(), GaussianDenoiser(STD))
    assert code.dtype == torch.bfloat16
    assert code.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 0}, "level must be at least 1, got 0"),
        ({"level": 10, "steps": 11}, r"steps must be in 1..10 to come down from level 10, got 11"),
        ({"refine": -1}, "refine must be at least 0, got -1"),
    ],
)
def test_options_out_of_range_raise(options, message):
    with pytest.raises(ValueError, match=message):
        Inversion(**options)


@pytest.mark.parametrize("way", ["encode", "decode"])
def test_each_way_alone_checks_what_it_gets(way):
    call = getattr(Inversion(20, 2), way)
    with pytest.raises(ValueError, match="expected levels up to 10 of the denoiser, got 20"):
        call(X, GaussianDenoiser(schedule=linear_schedule(10)))
    with pytest.raises(ValueError, match=r"expected x of shape \(B, C, \*S\)"):
        call(X[0], GaussianDenoiser())
