"""Published facts of image-conditioned diffusion (Baugh et al., 2024): weights, sizes, map, oracle."""

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DModel
from torch import nn

from diffad.data.corruptions import corrupt
from diffad.data.toy import draw_toy_slice
from diffad.denoise import NetworkDenoiser, bind
from diffad.models.beside import Beside
from diffad.registry import SAMPLERS, SCORES
from diffad.schedule import Schedule
from diffad.threshold import pool_maps
from diffad.training.loss import snr_weight
from diffad.types import Reconstruction
from tests.helpers.toys import white_noise

SCHEDULE = Schedule.from_diffusers(DDPMScheduler())
WIDTHS = (128, 256, 256, 512)


def size(module):
    return sum(p.numel() for p in module.parameters())


def weights(levels):
    return snr_weight(levels, SCHEDULE, "epsilon", 1.0).double()


class Knowing(nn.Module):
    """Answers with the exact noise for one clean image in [-1, 1], and keeps what it was shown beside."""

    multiple = 1

    def __init__(self, y):
        super().__init__()
        self.y, self.shown = y, []

    def forward(self, x, labels):
        x_t, c = x.chunk(2, dim=1)
        self.shown.append(c)
        alpha, sigma = SCHEDULE.amplitudes(labels + 1, x_t)
        return (x_t - alpha * self.y.repeat(len(x_t) // len(self.y), 1, 1, 1)) / sigma


@pytest.fixture(scope="module")
def corrupted():
    """Two slices with a change of intensity, (2, 1, 48, 48), the slices themselves, and what changed."""
    pairs = [draw_toy_slice(48, i) for i in range(2)]
    result = [corrupt(y, m > 0, "intensity", torch.Generator().manual_seed(3)) for y, m in pairs]
    return tuple(torch.stack([getattr(f, name) for f in result]) for name in ("image", "target", "mask"))


@pytest.fixture
def knowing(corrupted):
    """The network that knows the slices without the change."""
    network = Beside({"name": "unet2d", "channels": [8], "layers": 1, "groups": 4, "attention": False}).eval()
    network._modules["backbone"] = Knowing(corrupted[1] * 2 - 1)
    return network


def told(network, image):
    denoiser = NetworkDenoiser(network, SCHEDULE)
    return bind(denoiser, denoiser.conditions(image, torch.ones_like(image)))


def test_fifty_published_steps_are_those_of_diffusers():
    scheduler = DDPMScheduler()
    scheduler.set_timesteps(50)
    assert scheduler.timesteps.tolist() == list(range(980, -1, -20))
    for t, expected in ((980, 5.9038e-5), (999, 4.0358e-5), (0, 0.9999)):
        assert float(SCHEDULE.alpha_bar(t + 1)) == pytest.approx(expected, rel=1e-5)


def test_our_fifty_moves_begin_at_the_noisiest_level_and_end_clean(knowing, corrupted, generators):
    levels = []
    sampler = SAMPLERS.build("chain", level=1000, steps=50)
    result = sampler(
        corrupted[0] * 2 - 1,
        told(knowing, corrupted[0]),
        white_noise,
        generator=generators(1, 2),
        on_step=lambda record: levels.append((int(record.t), int(record.s))),
    )
    assert result.nfe == 50
    assert levels == [(t, t - 20) for t in range(1000, 0, -20)]


def test_weights_of_the_levels_are_the_published_ones():
    w = weights(torch.arange(1, 1001))
    for t, expected in ((0, 1.00027e-4), (100, 0.117142), (200, 0.523584), (258, 0.999022)):
        assert float(w[t]) == pytest.approx(expected, rel=2e-5)
    assert torch.equal(w[259:], torch.ones(741, dtype=torch.float64))
    assert (SCHEDULE.snr(torch.arange(1, 1001)) < 1).nonzero().min() == 259
    assert float(w.mean()) == pytest.approx(0.81731, abs=1e-5)


@pytest.mark.parametrize(("channels", "expected"), [(1, 72_410_241), (3, 72_417_155)])
def test_published_network_takes_twice_the_channels_and_has_the_published_size(channels, expected):
    with torch.device("meta"):
        network = UNet2DModel(
            sample_size=128,
            in_channels=2 * channels,
            out_channels=channels,
            block_out_channels=WIDTHS,
            layers_per_block=2,
            down_block_types=("DownBlock2D", *["AttnDownBlock2D"] * 3),
            up_block_types=("UpBlock2D", *["AttnUpBlock2D"] * 3),
        )
    assert size(network) == expected
    assert [hasattr(b, "attentions") for b in network.down_blocks] == [False, True, True, True]
    # the coarsest scale comes first, and it is the one without attention
    assert [len(getattr(b, "attentions", [])) for b in network.up_blocks] == [0, 3, 3, 3]


def test_our_backbones_of_these_widths_are_not_the_published_network():
    # attention at the coarsest scale only, on the way up too
    options = {"channels": list(WIDTHS), "layers": 2, "groups": 32}
    with torch.device("meta"):
        network = Beside({"name": "unet2d", **options})
    assert [hasattr(b, "attentions") for b in network.backbone.unet.down_blocks] == [False] * 3 + [True]
    assert [hasattr(b, "attentions") for b in network.backbone.unet.up_blocks] == [True] + [False] * 3
    assert size(network) == 72_729_473


@pytest.mark.parametrize("channels", [1, 3])
def test_state_without_the_image_is_refused(channels):
    options = {"name": "unet2d", "channels": [8], "layers": 1, "groups": 4, "attention": False}
    network, x_t = Beside(options, channels, channels), torch.zeros(2, channels, 8, 8)
    with pytest.raises(ValueError, match="beside the state, got none"):
        network(x_t, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=f"with C = {2 * channels}, got"):
        network.backbone(x_t, torch.tensor([0, 1]))


@pytest.mark.parametrize("step", ["ddpm", "ddim"])
def test_exact_network_rebuilds_the_healthy_image_from_nothing_but_noise(
    knowing, corrupted, generators, step
):
    image, target, mask = corrupted
    sampler = SAMPLERS.build("chain", level=1000, steps=50, step=step)
    result = sampler(image * 2 - 1, told(knowing, image), white_noise, generator=generators(1, 2))
    twin = (result.image + 1) / 2
    torch.testing.assert_close(twin, target, rtol=0, atol=1e-4)
    assert all(torch.equal(c, image * 2 - 1) for c in knowing.backbone.shown)
    found_map = SCORES.build("l1")(image, Reconstruction(twin, nfe=50))
    assert found_map[~mask].max() <= 1e-4
    assert found_map[mask].mean() > 0.05
    torch.testing.assert_close(found_map, (image - target).abs(), rtol=0, atol=1e-4)


def test_ensemble_of_identical_models_is_the_single_model(generators):
    torch.manual_seed(0)
    network = Beside({"name": "unet2d", "channels": [8], "layers": 1, "groups": 4, "attention": False}).eval()
    image = torch.stack([draw_toy_slice(24, i)[0] for i in range(2)])
    chain = {"name": "chain", "level": 250, "steps": 4, "step": "ddim"}

    def same(like, t=None, *, generator):
        return torch.linspace(-1, 1, like[0].numel()).view_as(like[0]).expand_as(like)

    def run(options):
        sampler = SAMPLERS.build(**options)
        return sampler(image * 2 - 1, told(network, image), same, generator=generators(1, 2))

    single, several = run(chain), run({"name": "ensemble", "members": 3, "inner": chain})
    torch.testing.assert_close(several.image, single.image, rtol=0, atol=1e-5)
    assert several.std.max() < 1e-4
    assert several.nfe == 3 * single.nfe == 12


def test_dissimilarity_of_constants_with_the_published_range_of_intensities():
    score = SCORES.build("ssim", window=11, sigma=1.5, data_range=255)
    x, flat = torch.zeros(1, 1, 24, 24), torch.full((1, 1, 24, 24), 0.5)
    scores = score(x, Reconstruction(flat, nfe=1))
    torch.testing.assert_close(scores, torch.full_like(x, 0.0370234), rtol=0, atol=2e-7)
    # with the range that the images have, the two have nothing in common
    own_scores = SCORES.build("ssim", window=11, sigma=1.5)(x, Reconstruction(flat, nfe=1))
    assert own_scores.min() > 0.999


@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_identical_images_differ_by_exactly_nothing(corrupted, data_range):
    score = SCORES.build("ssim", window=11, sigma=1.5, data_range=data_range)
    assert score(corrupted[0], Reconstruction(corrupted[0], nfe=1)).max() == 0


def test_score_of_an_image_is_the_mean_of_its_map(corrupted):
    found_map = SCORES.build("l1")(corrupted[0], Reconstruction(corrupted[1], nfe=1))
    torch.testing.assert_close(pool_maps(found_map), found_map.mean((1, 2, 3)))
