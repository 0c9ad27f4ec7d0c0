"""Facts about counterfactuals by fusion (Dif-fuse, Fontanella et al., 2024); index 499 is level 500."""

import pytest
import torch

from diffad.samplers.fusion import Fusion
from diffad.samplers.inversion import Inversion
from diffad.samplers.morphology import dilate
from diffad.samplers.region import select_region
from diffad.step import DDPM, VARIANCES
from tests.helpers.mixture import HEALTHY, ExactClassifier, MixtureDenoiser, blobs, drawn, model
from tests.helpers.toys import linear_schedule, recorder, white_noise

SCHEDULE = linear_schedule()
BLOBS = blobs()
EACH = slice(None, None, 80)
"""Six diseased images, of different heads."""
LESION = BLOBS.lesions[EACH]
REGION = dilate(LESION.double(), 3)
"""The true lesion and the voxels next to it."""
ONE, ZERO = torch.ones(1, 1, 1, 1, dtype=torch.float64), torch.zeros(1, 1, 1, 1, dtype=torch.float64)


@pytest.fixture(scope="module")
def x():
    return model(drawn(BLOBS.diseased[EACH]))


@pytest.fixture(scope="module")
def denoiser():
    return MixtureDenoiser(BLOBS, y=HEALTHY)


def fused(x, denoiser, region=REGION, seed=0, on_step=None, **options):
    generators = [torch.Generator().manual_seed(10 * seed + i) for i in range(len(x))]
    sampler = Fusion(**{"level": 500, "steps": 50, **options}).restricted_to(region)
    return sampler(x, denoiser, white_noise, generator=generators, on_step=on_step)


def test_published_level_is_the_one_taken_without_another(x, denoiser):
    records, on_step = recorder()
    sampler = Fusion(steps=1).restricted_to(REGION)
    generators = [torch.Generator().manual_seed(i) for i in range(len(x))]
    sampler(x, denoiser, white_noise, generator=generators, on_step=on_step)
    assert (records[0].t, records[0].s) == (500, 0)


def change(a, b, where):
    """Mean absolute difference in intensities of [0, 1]."""
    return float((a - b).abs()[where].mean()) / 2


def variance(kind, index):
    return float(DDPM(kind)(ZERO, ZERO, index + 1, index, SCHEDULE, ONE)) ** 2


@pytest.mark.parametrize("kind", VARIANCES)
@pytest.mark.parametrize("seed", range(3))
def test_nothing_changes_outside_the_region(x, denoiser, kind, seed):
    found = fused(x, denoiser, seed=seed, variance=kind)
    difference = (found.image - found.reference).abs()
    assert difference[REGION == 0].max() == 0
    assert (difference > 0).equal(REGION > 0)


def test_no_region_gives_the_reconstruction(x, denoiser):
    found = fused(x, denoiser, torch.zeros_like(REGION))
    assert torch.equal(found.image, found.reference)


def test_the_whole_region_gives_a_plain_chain_from_the_code(x, denoiser):
    whole, (records, on_step) = torch.ones_like(REGION), recorder()
    found = fused(x, denoiser, whole, clip=False, on_step=on_step)
    assert torch.equal(records[0].x_t, Inversion(500, 50).encode(x, denoiser))
    for record in records[::10]:
        x_hat = denoiser(record.x_t, torch.tensor(record.t))
        torch.testing.assert_close(record.x_hat, x_hat, rtol=0, atol=1e-12)
        z = (record.x_s - DDPM()(record.x_t, x_hat, record.t, record.s, SCHEDULE, 0 * x)) / (
            DDPM()(ZERO, ZERO, record.t, record.s, SCHEDULE, ONE)
        )
        assert float(z.mean()) == pytest.approx(0, abs=0.1)
        assert float(z.std()) == pytest.approx(1, abs=0.1)
    assert torch.equal(found.reference, fused(x, denoiser, seed=5).reference)


@pytest.mark.parametrize(
    ("kind", "index", "value"),
    [
        ("fixed_large", 499, 0.01004004),
        ("fixed_small", 499, 0.01003136),
        ("fixed_large", 1, 1.199e-4),
        ("fixed_small", 1, 5.453e-5),
    ],
)
def test_variances(kind, index, value):
    assert variance(kind, index) == pytest.approx(value, rel=2e-4)


def test_the_variance_hardly_matters(x, denoiser):
    found = {
        kind: [fused(x, denoiser, seed=seed, variance=kind, clip=False) for seed in range(3)]
        for kind in VARIANCES
    }
    small, large = (
        sum(change(one.image, one.reference, LESION) for one in several) / 3 for several in found.values()
    )
    assert small == pytest.approx(large, rel=0.1)


def test_posterior_mean_at_index_499():
    move = 500, 499, SCHEDULE
    got = [float(DDPM()(x_t, x_hat, *move, ZERO)) for x_t, x_hat in ((ZERO, ONE), (ONE, ZERO))]
    assert got == pytest.approx([0.00307007, 0.99410667], abs=6e-9)


def test_one_salient_voxel_becomes_25():
    saliency = torch.zeros(1, 1, 32, 32)
    saliency[..., 16, 10] = 3
    assert int(select_region(saliency).sum()) == 25


def test_a_tenth_of_four_channels_is_kept():
    field = torch.randperm(4 * 256 * 256, generator=torch.Generator().manual_seed(0)).double()
    kept = select_region(field.reshape(1, 4, 256, 256), dilate=1, per_channel=True)
    assert int(kept.sum()) == 26215


def test_a_sparse_saliency_keeps_all_that_is_not_zero():
    saliency = torch.zeros(1, 1, 50, 50)
    saliency[..., :6, :10] = 1 + torch.rand(6, 10, generator=torch.Generator().manual_seed(0))
    assert torch.equal(select_region(saliency, dilate=1), (saliency > 0).float())


def test_no_saliency_is_an_empty_region():
    assert not select_region(torch.zeros(1, 4, 16, 16)).any()


def test_healthy_images_are_kept_where_nothing_is_edited(denoiser):
    healthy = model(drawn(BLOBS.healthy[::10], seed=3))
    found = fused(healthy, denoiser, torch.zeros_like(REGION), steps=500)
    assert change(found.image, healthy, slice(None)) < 0.0038


def test_a_good_region_makes_healthy_twins(x, denoiser):
    found = fused(x, denoiser, steps=100, members=1)
    p = ExactClassifier(BLOBS)(found.image, torch.full((len(x),), -1)).exp()[:, HEALTHY]
    assert p.min() > 0.999
    assert change(found.image, model(BLOBS.twins[EACH]), LESION) == pytest.approx(0.042, abs=0.012)


def test_errors_of_the_inversion_cancel_in_the_reconstruction(x, denoiser):
    found = fused(x, denoiser, steps=100)
    to_rebuilt, to_scan = (change(found.image, other, ~LESION) for other in (found.reference, x))
    assert to_rebuilt < to_scan / 2
    assert change(found.image, found.reference, LESION) > 10 * to_rebuilt


def test_several_draws_come_nearer_to_the_healthy_template(x, denoiser):
    twins = model(BLOBS.twins[EACH])
    one, many = (change(fused(x, denoiser, members=k).image, twins, LESION) for k in (1, 8))
    assert many < 0.75 * one
