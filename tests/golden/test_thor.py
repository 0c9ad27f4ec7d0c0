"""The published numbers of temporal harmonisation; index 350 is level 351."""

import pytest
import torch

from diffad.denoise import NetworkDenoiser
from diffad.samplers.blend import mix
from diffad.samplers.harmonised import Harmonised
from diffad.samplers.morphology import close, dilate
from diffad.score.temporal import Temporal
from diffad.types import Reconstruction, StepRecord
from tests.helpers.toys import (
    ConstantDenoiser,
    CountingNoise,
    GaussianDenoiser,
    KnownNetwork,
    linear_schedule,
    recorder,
    white_noise,
)

SCHEDULE = linear_schedule()
ABAR = {
    0: 0.9999,
    50: 0.969951,
    100: 0.895141,
    150: 0.785887,
    200: 0.656347,
    250: 0.521423,
    300: 0.394011,
    350: 0.283183,
    400: 0.193572,
    500: 0.077797,
    700: 0.006868,
}
GAUSSIAN = {"level": 351, "harmonise": (301, 151, 51)}
SIMPLEX = {"level": 251, "harmonise": (201, 151, 101, 51)}


def scan(n=1, dtype=torch.float32):
    return torch.rand((n, 1, 20, 18), generator=torch.Generator().manual_seed(2)).to(dtype) * 2 - 1


def run(x, denoiser, seeds=None, noise=white_noise, **options):
    records, on_step = recorder()
    rng = [torch.Generator().manual_seed(i) for i in seeds or range(len(x))]
    result = Harmonised(**options)(x, denoiser, noise, generator=rng, on_step=on_step)
    return result, records


def records_with_maps(records):
    return [r for r in records if r.map is not None]


def record(value):
    return StepRecord(1, 0, value, value, value, value)


def aggregate(*values):
    """Temporal mean of constant maps."""
    maps = [torch.full((1, 1, 2, 2), v) for v in values]
    return float(score_records(maps[0], [record(m) for m in maps])[0, 0, 0, 0])


def score_records(x, records):
    """The temporal mean of records for a scan in [0, 1]."""
    temporal = Temporal().begin(2 * x - 1)
    for step in records:
        temporal.record(step)
    return temporal.map(x, Reconstruction(x, nfe=len(records)))


def grow(x):
    return (dilate(close(x, 13), 13) + x) / 2


@pytest.mark.parametrize(("index", "abar"), ABAR.items())
def test_signal_of_the_levels(index, abar):
    assert float(SCHEDULE.alpha_bar(index + 1)) == pytest.approx(abar, abs=6e-7)


def test_signal_at_both_ends():
    assert float(SCHEDULE.alpha_bar(0)) == 1
    assert float(SCHEDULE.alpha_bar(1000)) == pytest.approx(4.0e-5, abs=6e-7)


@pytest.mark.parametrize(
    ("options", "calls", "maps", "blend_levels"),
    [(GAUSSIAN, 351, 8, (301, 151, 51)), (SIMPLEX, 251, 6, (201, 151, 101, 51))],
    ids=["gaussian", "simplex"],
)
def test_calls_maps_and_blends(options, calls, maps, blend_levels):
    denoiser, noise = GaussianDenoiser(), CountingNoise()
    result, records = run(scan(), denoiser, noise=noise, **options)
    assert result.nfe == denoiser.calls == len(records) == calls
    assert [r.t for r in records_with_maps(records)] == [*range(calls, 1, -50), 1]
    assert len(records_with_maps(records)) == maps
    # a move draws noise, a blend and the last move do not
    assert set(range(1, calls + 1)) - set(noise.levels) == {*blend_levels, 1}
    assert len(noise.levels) == 1 + calls - 1 - len(blend_levels)


def test_an_impulse_grows_to_half_a_block():
    x = torch.zeros(1, 1, 41, 41)
    x[..., 20, 20] = 1
    y = grow(x)
    assert y[..., 20, 20] == 1
    assert (y == 0.5).sum() == 168
    assert (y[..., 14:27, 14:27] > 0).all()
    assert (y > 0).sum() == 169


def test_two_pixels_eight_apart_are_bridged():
    x = torch.zeros(1, 1, 41, 41)
    x[..., 20, 16] = x[..., 20, 24] = 1
    region = close(x, 13)
    assert (region > 0).sum() == 9
    assert (region[..., 20, 16:25] == 1).all()
    assert (grow(x) > 0).sum() == 13 * 21 == 273


@pytest.mark.parametrize(
    ("values", "mean"), [((0.5, 0.25), 1 / 3), ((0.0, 1.0), 0.0), ((1.0, 1 / 3), 0.5), ((1.0, 1.0), 0.999)]
)
def test_harmonic_means(values, mean):
    assert aggregate(*values) == pytest.approx(mean, abs=1e-7)


def test_the_true_noise_finds_nothing_and_gives_the_scan_back():
    x = scan(dtype=torch.float64)
    oracle = NetworkDenoiser(KnownNetwork(ConstantDenoiser(x)), SCHEDULE)
    result, records = run(x, oracle, **GAUSSIAN)
    assert len(records_with_maps(records)) == 8
    for r in records_with_maps(records):
        assert r.map.max() < 1e-6
    torch.testing.assert_close(result.image, x, atol=1e-9, rtol=0)


def test_the_scan_itself_as_the_estimate_finds_exactly_nothing():
    x = scan()
    result, records = run(x, ConstantDenoiser(x), **GAUSSIAN)
    assert all(not r.map.any() for r in records_with_maps(records))
    assert torch.equal(result.image, x)
    first = white_noise(x, generator=[torch.Generator().manual_seed(0)])
    blend_records = [r for r in records if r.t in GAUSSIAN["harmonise"]]
    assert all(torch.equal(r.x_s, SCHEDULE.add_noise(x, first, r.s)) for r in blend_records)


def test_blends_are_the_scan_or_the_estimate_at_the_ends():
    x, x_hat = scan(), -scan()
    assert torch.equal(mix(x, x_hat, torch.zeros(1, 1, 20, 18)), x)
    assert torch.equal(mix(x, x_hat, torch.ones(1, 1, 20, 18)), x_hat)


def test_maps_reach_one_and_their_mean_stays_below():
    x = scan(2)
    _, records = run(x, GaussianDenoiser(), **GAUSSIAN)
    for r in records_with_maps(records):
        assert r.map.min() >= 0
        torch.testing.assert_close(r.map.amax((1, 2, 3)), torch.ones(2), atol=1e-3, rtol=0)
    final = score_records((x + 1) / 2, records)
    assert 0 <= final.min() <= final.max() <= 0.999


def test_the_scale_of_the_score_does_not_matter():
    def scale_score(factor):
        return lambda x, restoration, mask=None: factor * (x - restoration.image).abs()

    (first, maps), (second, others) = (
        run(scan(), GaussianDenoiser(), **GAUSSIAN, score=scale_score(factor)) for factor in (1.0, 1000.0)
    )
    torch.testing.assert_close(first.image, second.image, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        records_with_maps(maps)[0].map, records_with_maps(others)[0].map, atol=1e-6, rtol=0
    )


def test_the_last_step_gives_the_estimate():
    result, records = run(scan(), GaussianDenoiser(), **GAUSSIAN)
    assert torch.equal(result.image, records[-1].x_hat)


def test_a_batch_is_its_items():
    x = scan(3)
    x[1] *= 0.1
    result, records = run(x, GaussianDenoiser(), **SIMPLEX)
    for i in range(3):
        alone, item_records = run(x[i : i + 1], GaussianDenoiser(), seeds=[i], **SIMPLEX)
        assert torch.equal(alone.image[0], result.image[i])
        for a, b in zip(records_with_maps(item_records), records_with_maps(records), strict=True):
            assert torch.equal(a.map[0], b.map[i])


def test_the_published_rule_noises_once_too_far():
    x = scan()
    (_, ours), (_, published) = (run(x, GaussianDenoiser(), **GAUSSIAN, rule=r) for r in ("next", "same"))
    first = white_noise(x, generator=[torch.Generator().manual_seed(0)])
    (a,), (b,) = ([r for r in records if r.t == 301] for records in (ours, published))
    assert torch.equal(a.x_hat, b.x_hat)
    clean = []
    for step, level in ((a, 300), (b, 301)):
        alpha, sigma = SCHEDULE.amplitudes(level, x)
        clean.append((step.x_s - sigma * first) / alpha)
    torch.testing.assert_close(*clean, atol=1e-5, rtol=0)
    assert not torch.equal(a.x_s, b.x_s)
