"""One look at every level of a range, and none of them kept."""

import gc

import pytest
import torch

from diffad.denoise import NetworkDenoiser, bind
from diffad.samplers.levels import Levels
from diffad.samplers.oneshot import OneShot
from tests.helpers.toys import (
    CountingNoise,
    GaussianDenoiser,
    KnownNetwork,
    linear_schedule,
    recorder,
    white_noise,
)

X = torch.rand(3, 2, 6, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1


def records_of(sampler, x, seeds, denoiser=None):
    records, on_step = recorder()
    rng = [torch.Generator().manual_seed(s) for s in seeds]
    restoration = sampler(x, denoiser or GaussianDenoiser(), white_noise, generator=rng, on_step=on_step)
    return restoration, records


def test_the_paper_looks_at_125_levels():
    assert list(Levels()._levels) == list(range(76, 201))
    assert list(Levels(stride=5)._levels) == list(range(76, 200, 5))


def test_each_record_is_a_look_at_the_noised_image():
    denoiser = GaussianDenoiser()
    restoration, records = records_of(Levels(10, 40, 10), X, (1, 2, 3), denoiser)
    assert [(r.t, r.s) for r in records] == [(10, 0), (20, 0), (30, 0), (40, 0)]
    for record in records:
        alpha, sigma = denoiser.schedule.amplitudes(record.t, X)
        z = (record.x_t - alpha * X) / sigma
        assert float(z.mean()) == pytest.approx(0, abs=0.4)
        assert float(z.std()) == pytest.approx(1, abs=0.25)
        torch.testing.assert_close(record.x_hat, denoiser.estimate(record.x_t, torch.tensor(record.t)))
        assert record.x_s is record.x_hat
    estimates = torch.stack([r.x_hat.clamp(-1, 1) for r in records])
    torch.testing.assert_close(restoration.image, estimates.mean(0))
    torch.testing.assert_close(restoration.std, estimates.std(0))


def test_a_strided_run_sees_the_noise_of_the_full_one():
    full = {r.t: r.x_t for r in records_of(Levels(10, 30), X, (1, 2, 3))[1]}
    strided = records_of(Levels(10, 30, 7), X, (1, 2, 3))[1]
    assert [r.t for r in strided] == [10, 17, 24]
    assert all(torch.equal(r.x_t, full[r.t]) for r in strided)


def test_noise_of_levels_and_of_items_is_independent():
    schedule = linear_schedule()
    x = torch.zeros(2, 1, 64, 64)
    z = [r.x_t / schedule.amplitudes(r.t, x)[1] for r in records_of(Levels(10, 12), x, (1, 2))[1]]
    fields = torch.cat(z).flatten(1)
    assert float((torch.corrcoef(fields) - torch.eye(6)).abs().max()) < 0.1


@pytest.mark.parametrize("at_once", [1, 2, 4, 100])
def test_levels_at_once_change_the_batch_and_nothing_else(at_once):
    denoiser, reference = GaussianDenoiser(), records_of(Levels(10, 16), X, (1, 2, 3))[0]
    restoration, _ = records_of(Levels(10, 16, at_once=at_once), X, (1, 2, 3), denoiser)
    torch.testing.assert_close(restoration.image, reference.image)
    assert denoiser.calls == -(-7 // at_once)
    assert denoiser.levels == [t for t in range(10, 17) for _ in X]
    assert restoration.nfe == 7


def test_memory_does_not_grow_with_the_number_of_levels():
    """Whoever takes in records and lets them go holds one batch of them."""
    counts = []

    class Counting(GaussianDenoiser):
        def estimate(self, x_t, t):
            if self.calls in (2, 20):
                counts.append(sum(type(o) is torch.Tensor for o in gc.get_objects()))
            return super().estimate(x_t, t)

    def forget(record):
        assert record.s == 0

    rng = torch.Generator().manual_seed(0)
    Levels(1, 60, at_once=3)(X, Counting(), white_noise, generator=rng, on_step=forget)
    assert counts[1] <= counts[0]


def test_estimates_are_not_clamped_but_the_twin_is(generators):
    x = torch.full((2, 1, 4, 4), 0.9)
    network = KnownNetwork(GaussianDenoiser(std=10.0))
    denoiser = NetworkDenoiser(network, linear_schedule(), clip=True)
    for clipped in (denoiser, bind(denoiser, {"other": torch.zeros(2)})):
        network.forward = lambda x_t, labels, other=None: KnownNetwork.forward(network, x_t, labels)
        restoration, records = records_of(Levels(150, 152), x, (1, 2), clipped)
        assert max(float(r.x_hat.max()) for r in records) > 1
        assert restoration.image.abs().max() <= 1


def test_the_twin_is_that_of_looks_at_the_same_levels():
    x = torch.zeros(1, 1, 64, 64)
    levels, looks = Levels(100, 130, 10), OneShot([100, 110, 120, 130])
    spreads = [
        float(s(x, GaussianDenoiser(), white_noise, generator=torch.Generator().manual_seed(0)).image.std())
        for s in (levels, looks)
    ]
    assert spreads[0] == pytest.approx(spreads[1], rel=0.1)


def test_noise_is_asked_for_the_level_it_serves(generators):
    noise = CountingNoise()
    Levels(5, 9, 2)(X, GaussianDenoiser(), noise, generator=generators(1, 2, 3))
    assert noise.levels == [5, 7, 9]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"first": 0}, ValueError, "first must be at least 1, got 0"),
        ({"first": 90, "last": 80}, ValueError, "expected last of at least first = 90, got 80"),
        ({"stride": 0}, ValueError, "stride must be at least 1, got 0"),
        ({"at_once": 0}, ValueError, "at_once must be at least 1, got 0"),
        ({"last": 200.0}, TypeError, r"expected an integer for last, got 200\.0"),
    ],
)
def test_wrong_options_raise(options, error, message):
    with pytest.raises(error, match=message):
        Levels(**options)
