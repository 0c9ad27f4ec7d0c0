"""One look without noise at test; noise inside the brain in training."""

import math

import pytest
import torch
from torch import nn

from diffad.data.space import to_model
from diffad.data.toy import draw_toy_slice
from diffad.denoise import NetworkDenoiser, bind
from diffad.models.dae import DAEUNet
from diffad.noise.coarse import CoarseNoise
from diffad.registry import GUIDANCES
from diffad.samplers.direct import Direct
from diffad.samplers.views import WholeView
from diffad.score.residual import L1Score
from diffad.types import Reconstruction
from tests.helpers.toys import KnownNetwork, linear_schedule, recorder, white_noise

SCHEDULE = linear_schedule()


class Identity(nn.Module):
    """A network that answers what it sees."""

    def forward(self, x_t, labels):
        return x_t


def no_noise(like, t=None, *, generator):
    raise AssertionError("noise was drawn")


def slices(first, count, size=32):
    """Toy slices in model range and their masks."""
    images, masks = zip(*(draw_toy_slice(size, first + i) for i in range(count)), strict=True)
    return to_model(torch.stack(images)), torch.stack(masks)


@pytest.mark.parametrize("shape", [(2, 3, 8, 9), (2, 1, 4, 6, 5)], ids=str)
def test_identity_scores_zero_everywhere(shape, generators):
    x = torch.rand(shape, generator=generators(0)[0])
    denoiser = NetworkDenoiser(Identity(), SCHEDULE, "sample")
    found = Direct()(to_model(x), denoiser, no_noise, generator=generators(1, 2))
    assert found.nfe == 1
    assert torch.equal(found.image, to_model(x))
    assert not L1Score()(to_model(x), Reconstruction(found.image, 1)).any()


def test_record_shows_the_image_itself_at_level_one(generators):
    x = torch.rand(2, 1, 8, 8, generator=generators(0)[0])
    network, (records, on_step) = DAEUNet(width_exponent=2, depth=2).eval(), recorder()
    denoiser = NetworkDenoiser(network, SCHEDULE, "sample")
    found = Direct()(x, denoiser, no_noise, generator=generators(1, 2), on_step=on_step)
    assert [(r.t, r.s) for r in records] == [(1, 0)]
    assert torch.equal(records[0].x_t, x)
    assert torch.equal(records[0].x_hat, found.image)
    assert torch.equal(found.image, network(x, torch.zeros(2)).clamp(-1, 1))


def test_twin_does_not_depend_on_the_size_of_the_batch(generators):
    x, _ = slices(0, 3, size=16)
    denoiser = NetworkDenoiser(DAEUNet(width_exponent=3, depth=2).eval(), SCHEDULE, "sample")
    together = Direct()(x, denoiser, no_noise, generator=generators(1, 2, 3)).image
    for i in range(3):
        alone = Direct()(x[i : i + 1], denoiser, no_noise, generator=generators(9)).image[0]
        torch.testing.assert_close(alone, together[i], rtol=0, atol=1e-5)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_network_that_predicts_something_else_is_refused(prediction, generators):
    denoiser = NetworkDenoiser(KnownNetwork(None, prediction), SCHEDULE, prediction)
    with pytest.raises(ValueError, match=f"prediction_type 'sample', got '{prediction}'"):
        Direct()(torch.zeros(1, 1, 8, 8), denoiser, no_noise, generator=generators(1))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda denoiser: bind(denoiser, {"y": torch.zeros(1)}),
        GUIDANCES.build("classifier", classifier=torch.nn.Identity()),
        GUIDANCES.build("encoder"),
        lambda denoiser: WholeView([(slice(0, 8), slice(0, 8))]).denoiser(denoiser, torch.zeros(1, 1, 8, 8)),
    ],
    ids=["bound", "classifier", "encoder", "in context"],
)
def test_wrapped_network_that_predicts_something_else_is_refused(wrap, generators):
    denoiser = wrap(NetworkDenoiser(KnownNetwork(None, "epsilon"), SCHEDULE, "epsilon"))
    with pytest.raises(ValueError, match="prediction_type 'sample', got 'epsilon'"):
        Direct()(torch.zeros(1, 1, 8, 8), denoiser, no_noise, generator=generators(1))


@pytest.mark.parametrize("shape", [(3, 2, 12, 10), (2, 1, 6, 8, 7)], ids=str)
def test_example_is_noised_inside_the_mask_and_untouched_outside(shape, generators):
    x = torch.rand(shape, generator=generators(0)[0]) * 2 - 1
    mask = (torch.rand(shape[0], 1, *shape[2:], generator=generators(1)[0]) > 0.5).float()
    t, seeds = torch.ones(shape[0], dtype=torch.long), range(shape[0])
    example = Direct(0.3).example(x, mask, t, white_noise, SCHEDULE, generators(*seeds))
    outside = (mask == 0).expand(shape)
    z = white_noise(x, generator=generators(*seeds))
    assert example.region.dtype == torch.bool
    assert torch.equal(example.region, mask > 0)
    assert torch.equal(example.x, x)
    assert torch.equal(example.x_t[outside], x[outside])
    assert not example.z[outside].any()
    assert torch.equal(example.x_t[~outside], (x + 0.3 * z)[~outside])


def test_item_alone_equals_item_in_batch(generators):
    x, mask = slices(0, 3)
    t = torch.tensor([1, 500, 1000])
    together = Direct().example(x, mask, t, CoarseNoise(), SCHEDULE, generators(1, 2, 3))
    for i in range(3):
        item = slice(i, i + 1)
        alone = Direct().example(x[item], mask[item], t[item], CoarseNoise(), SCHEDULE, generators(i + 1))
        assert torch.equal(alone.x_t[0], together.x_t[i])


def test_level_changes_nothing(generators):
    x, mask = slices(0, 2)
    low, high = (
        Direct().example(x, mask, torch.full((2,), t), CoarseNoise(), SCHEDULE, generators(1, 2))
        for t in (1, 1000)
    )
    assert torch.equal(low.x_t, high.x_t)


def test_default_amplitude_is_the_published_one_in_model_range(generators):
    """Nodes of .2 in [0, 1] leave .134 after enlarging, .268 in [-1, 1]."""
    x = torch.zeros(60, 1, 128, 128)
    t, ones = torch.ones(60, dtype=torch.long), torch.ones(60, 1, 128, 128)
    published = 2 * CoarseNoise(reference=True)(x, generator=generators(*range(60)))
    example = Direct().example(x, ones, t, CoarseNoise(), SCHEDULE, generators(*range(60)))
    assert float(published.std()) == pytest.approx(0.268, abs=0.006)
    assert float(example.x_t.std()) == pytest.approx(float(published.std()), rel=0.03)


def test_short_training_removes_most_of_the_noise(generators):
    torch.manual_seed(0)
    network, direct = DAEUNet(width_exponent=3, depth=3), Direct()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    x, mask = slices(0, 8)
    t, noise = torch.ones(8, dtype=torch.long), CoarseNoise(8)

    def error(seed):
        example = direct.example(x, mask, t, noise, SCHEDULE, generators(*range(seed, seed + 8)))
        wrong = (network(example.x_t, t - 1) - example.x).square() * example.region
        return wrong.sum() / example.region.sum()

    for step in range(60):
        optimizer.zero_grad()
        error(100 + 8 * step).backward()
        optimizer.step()
    with torch.no_grad():
        left = math.sqrt(float(error(0)))
    assert left < direct.sigma / 2


@pytest.mark.parametrize("sigma", [0, -0.1, math.inf, math.nan])
def test_amplitude_that_is_not_positive_raises(sigma):
    with pytest.raises(ValueError, match="expected a positive sigma, got"):
        Direct(sigma)
