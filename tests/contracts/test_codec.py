"""What every codec promises, and what every sampler does in its codes."""

import pytest
import torch

from diffad.models.autoencoder_kl import AutoencoderKL
from diffad.models.autoencoder_vq import AutoencoderVQ
from diffad.models.coding import PIXELS, Coding
from diffad.models.haar import Haar
from diffad.protocols import Codec
from diffad.registry import SAMPLERS, SCORES
from diffad.samplers.coded import CodedSampler, ScaledDenoiser
from diffad.score.base import begin_run
from diffad.types import Reconstruction
from tests.contracts.test_sampler import DENOISING
from tests.contracts.test_sampler import OPTIONS as SAMPLER_OPTIONS
from tests.helpers.toys import GaussianDenoiser, MarkingDenoiser, linear_schedule, white_noise


def build_kl(dims):
    """A codec of factor 4 without training, whose codes have a standard deviation of 1."""
    torch.manual_seed(3)
    options = {"latent": 3, "channels": [8, 8, 8], "layers": 1, "groups": 4, "attention": False}
    codec = AutoencoderKL(dims=dims, **options).eval().requires_grad_(False)
    sides = (16,) * dims
    codec.scale /= codec.encode(torch.rand(4, 1, *sides) * 2 - 1).std()
    return codec


def build_vq(dims):
    """A codec of factor 4 with a codebook, without training, whose codes have a standard deviation of 1."""
    torch.manual_seed(3)
    options = {
        "latent": 3,
        "entries": 16,
        "channels": [8, 8, 8],
        "layers": 1,
        "groups": 4,
        "attention": False,
    }
    codec = AutoencoderVQ(dims=dims, **options).eval().requires_grad_(False)
    z = codec.encode(torch.rand(4, 1, *(16,) * dims) * 2 - 1)
    rows = z.movedim(1, -1).reshape(-1, 3)
    codec.codebook.copy_(rows[torch.linspace(0, len(rows) - 1, 16).long()])
    codec.scale /= z.std()
    return codec


class Singly:
    """A codec that works on one image at a time, so that rounding does not depend on the batch."""

    def __init__(self, codec):
        self.codec, self.dims, self.factor, self.reach = codec, codec.dims, codec.factor, codec.reach
        self.in_channels, self.code_channels = codec.in_channels, codec.code_channels

    def encode(self, x, generators=None):
        return torch.cat([self.codec.encode(item[None]) for item in x])

    def decode(self, z):
        return torch.cat([self.codec.decode(item[None]) for item in z])


CODECS = {
    "haar": lambda: Haar(1, 2),
    "haar 3-D": lambda: Haar(1, 3),
    "kl": lambda: build_kl(2),
    "kl 3-D": lambda: build_kl(3),
    "vq": lambda: build_vq(2),
}
FLAT = [name for name in CODECS if "3-D" not in name]


@pytest.fixture(scope="module", params=CODECS)
def codec(request):
    return CODECS[request.param]()


@pytest.fixture
def x(codec):
    sides = (12, 20) if codec.dims == 2 else (12, 12, 16)
    return torch.rand(3, codec.in_channels, *sides, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_code_has_the_sides_and_channels_that_the_codec_says(codec, x):
    assert isinstance(codec, Codec)
    z = codec.encode(x)
    assert z.shape == (3, codec.code_channels, *(n // codec.factor for n in x.shape[2:]))
    assert codec.decode(z).shape == x.shape
    assert z.abs().max() <= codec.reach


def test_item_alone_is_encoded_as_in_a_batch(codec, x):
    z, again = codec.encode(x), codec.encode(x[1:2])
    torch.testing.assert_close(again[0], z[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(codec.decode(again)[0], codec.decode(z)[1], rtol=1e-4, atol=1e-5)


def test_codes_are_drawn_from_the_generator_of_each_item_alone(codec, x, generators):
    drawn = codec.encode(x, generators(1, 2, 3))
    assert torch.equal(drawn, codec.encode(x, generators(1, 2, 3)))
    torch.testing.assert_close(drawn[2:], codec.encode(x[2:], generators(3)), rtol=1e-4, atol=1e-5)
    assert torch.equal(drawn, codec.encode(x)) == isinstance(codec, Haar | AutoencoderVQ)


def test_sides_that_the_factor_does_not_divide_are_padded_and_come_back(codec, x):
    coding = Coding(codec)
    odd = x[:, :, :-1, 1:]
    z = coding.encode(odd)
    assert z.shape == codec.encode(x).shape
    back = coding.decode(z, odd.shape[2:])
    assert back.shape == odd.shape
    if isinstance(codec, Haar):
        torch.testing.assert_close(back, odd)


def test_masks_come_to_the_cells_of_codes_and_back(codec, x):
    coding, mask = Coding(codec), torch.zeros_like(x[:, :1])
    mask[:, :, 0, 0] = 1
    share, any_voxel = coding.shrink(mask), coding.spread(mask)
    assert share.shape == any_voxel.shape == (3, 1, *codec.encode(x).shape[2:])
    assert torch.equal(share > 0, any_voxel > 0)
    torch.testing.assert_close(share.sum() * codec.factor**codec.dims, mask.sum())
    large = coding.enlarge(any_voxel, x.shape[2:])
    assert large.shape == mask.shape
    assert ((large > 0) | (mask == 0)).all()
    assert set(any_voxel.unique().tolist()) == {0, 1}


def test_without_a_codec_nothing_changes(x):
    assert PIXELS.encode(x) is x
    assert PIXELS.decode(x, x.shape[2:]) is x
    assert PIXELS.condition(x) is x
    assert all(change(x) is x for change in (PIXELS.shrink, PIXELS.spread))
    assert PIXELS.factor == PIXELS.reach == 1


# the samplers in codes: a region-picking one needs no threshold there, as it takes the quantile of each item


@pytest.fixture(params=DENOISING)
def name(request):
    return request.param


def run(name, codec, x, seeds=(1, 2, 3), denoiser=None, noise=white_noise, **options):
    """Run a sampler in codes with one seed an item."""
    sampler = CodedSampler(SAMPLERS.build(name, **SAMPLER_OPTIONS[name]), Coding(codec))
    generators = [torch.Generator().manual_seed(s) for s in seeds]
    mask = torch.ones(len(x), 1, *x.shape[2:])
    inner = MarkingDenoiser(denoiser or GaussianDenoiser())
    return sampler(x, inner, noise, generator=generators, mask=mask, **options)


def test_every_sampler_rebuilds_images_in_codes(name, codec, x):
    result = run(name, codec, x)
    assert result.image.shape == result.reference.shape == x.shape
    assert result.code_change.shape == codec.encode(x).shape
    assert result.image.isfinite().all()
    assert not result.image.requires_grad
    assert result.map is None or result.map.shape == x[:, :1].shape
    if SAMPLER_OPTIONS[name].get("saliency") is None and name != "inversion":
        reference = Coding(codec).decode(codec.encode(x), x.shape[2:])
        torch.testing.assert_close(result.reference, reference, rtol=1e-4, atol=1e-5)


def test_same_seeds_give_the_same_twin_in_any_batch(name, codec, x):
    together, again = run(name, codec, x), run(name, codec, x)
    assert torch.equal(together.image, again.image)
    together = run(name, Singly(codec), x)
    for i, seed in enumerate((1, 2, 3)):
        alone = run(name, Singly(codec), x[i : i + 1], seeds=(seed,))
        assert torch.equal(alone.image[0], together.image[i])


def test_records_of_moves_are_those_of_images(name, codec, x):
    records = []
    watched = run(name, codec, x, on_step=records.append)
    assert torch.equal(watched.image, run(name, codec, x).image)
    assert records
    for record in records:
        assert record.x_t.shape == record.x_hat.shape == record.x_s.shape == x.shape


class RotatedNoise:
    """White noise of codes that is the code of white noise of images."""

    def __init__(self, codec):
        self.codec = codec

    def __call__(self, like, t=None, *, generator):
        image = torch.zeros(len(like), 1, *(2 * n for n in like.shape[2:]))
        return self.codec.encode(white_noise(image, t, generator=generator))


# those whose maps, cuts or estimates are made voxel by voxel are others in another basis
LINEAR = ["chain", "direct", "dpm_solver", "inversion", "oneshot", "levels"]


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("dims", [2, 3])
def test_diffusion_of_wavelets_is_that_of_the_image(name, dims):
    """The transform is orthonormal: with noise as rotated, twins are the same to rounding."""
    codec, sides = Haar(1, dims), (8, 12) if dims == 2 else (4, 8, 6)
    x = torch.rand(2, 1, *sides, generator=torch.Generator().manual_seed(5)) - 0.5
    coded = run(name, codec, x, (1, 2), GaussianDenoiser(std=0.2), RotatedNoise(codec))
    sampler = SAMPLERS.build(name, **SAMPLER_OPTIONS[name])
    generators = [torch.Generator().manual_seed(s) for s in (1, 2)]
    plain = sampler(x, GaussianDenoiser(std=0.2), white_noise, generator=generators)
    torch.testing.assert_close(coded.image, plain.image, rtol=1e-4, atol=1e-5)


def test_haar_keeps_distances_and_undoes_itself():
    for dims, sides in ((2, (6, 10)), (3, (4, 6, 8))):
        codec, (a, b) = Haar(2, dims), torch.randn(2, 3, 2, *sides, dtype=torch.float64)
        torch.testing.assert_close(codec.decode(codec.encode(a)), a)
        distance = (codec.encode(a) - codec.encode(b)).square().sum()
        torch.testing.assert_close(distance, (a - b).square().sum())


def test_haar_of_a_constant_is_its_lowest_band_alone():
    codec = Haar(1, 3)
    z = codec.encode(torch.ones(1, 1, 4, 4, 4))
    torch.testing.assert_close(z[:, 0], torch.full((1, 2, 2, 2), 8**0.5))
    assert codec.reach == 8**0.5
    assert z[:, 1:].abs().max() == 0


def test_sampler_sees_codes_in_the_range_of_images(codec, x):
    seen = []

    class Spy(GaussianDenoiser):
        def estimate(self, x_t, t):
            seen.append(x_t)
            return x_t * 100

    scaled = ScaledDenoiser(Spy(), codec.reach)
    z = codec.encode(x) / codec.reach
    assert scaled(z, torch.tensor(5)).abs().max() <= 1
    torch.testing.assert_close(seen[0], codec.encode(x))
    assert scaled.without_clamp()(z, torch.tensor(5)).abs().max() > 1
    assert scaled.clamps
    assert not scaled.without_clamp().clamps


@pytest.mark.parametrize("name", ["chain", "oneshot"])
def test_a_denoiser_that_knows_the_code_gives_the_reference(name, codec, x):
    z = codec.encode(x)

    class Knowing(GaussianDenoiser):
        def __call__(self, x_t, t, **cond):
            return z.repeat(len(x_t) // len(z), *(1 for _ in z.shape[1:]))

    result = run(name, codec, x, denoiser=Knowing())
    torch.testing.assert_close(result.image, result.reference, rtol=1e-4, atol=1e-4)
    assert result.code_change.abs().max() < 1e-4


def test_twin_is_the_scan_outside_a_region_from_outside(codec, x):
    region = torch.zeros_like(x[:, :1])
    region[..., 3:7] = 1
    inner = SAMPLERS.build("resampled", **SAMPLER_OPTIONS["resampled"])
    sampler = CodedSampler(inner, Coding(codec), region)
    generators = [torch.Generator().manual_seed(s) for s in range(3)]
    image = sampler(x, GaussianDenoiser(), white_noise, generator=generators, mask=region * 0 + 1).image
    assert torch.equal(image[..., 7:], x[..., 7:])
    assert not torch.equal(image[..., 3:7], x[..., 3:7])


def test_sampler_that_asks_networks_of_images_is_refused():
    sampler = SAMPLERS.build("fusion", level=20, steps=2, saliency={"name": "counterfactual", "steps": 2})
    with pytest.raises(ValueError, match="sampler without networks of images in codes, found Counterfactual"):
        CodedSampler(sampler, Coding(Haar()))
    with pytest.raises(ValueError, match="sampler without networks of images in codes, found Detect"):
        CodedSampler(SAMPLERS.build("detect"), Coding(Haar()))


@pytest.mark.parametrize("score", ["l1", "change", "rebuilt", "code", "ssim", "temporal", "normative"])
def test_scores_compare_what_is_decoded(score, codec, x):
    run_of_score = begin_run(SCORES.build(score), x, linear_schedule())
    result = run("levels" if score == "normative" else "chain", codec, x, on_step=run_of_score.record)
    public = Reconstruction(
        (result.image + 1) / 2, 1, reference=(result.reference + 1) / 2, code_change=result.code_change
    )
    anomaly = run_of_score.map((x + 1) / 2, public)
    assert anomaly.shape == x[:, :1].shape
    assert anomaly.isfinite().all()
    assert anomaly.max() > 0
