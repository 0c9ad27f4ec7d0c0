"""Pipelines whose network sees codes: the same maps after loading and in any batch, or one clear error."""

import json

import numpy as np
import pytest
import torch

from diffad import AnomalyPipeline
from diffad.inference.candidates import Candidate
from diffad.models.autoencoder_kl import AutoencoderKL
from diffad.models.pretrained import ModelError
from diffad.models.unet2d import UNet2D
from diffad.models.unet3d import UNet3D
from diffad.registry import MODELS
from tests.helpers.brains import save_volume
from tests.test_pipeline import CHAIN, images, make, same

GAUSSIAN = {"name": "gaussian"}
LATENT = {"size": 16, "code": "latent"}


def build_codec(**options):
    """A codec of factor 2 without training."""
    torch.manual_seed(4)
    small = {"latent": 3, "channels": (8, 8), "layers": 1, "groups": 4, "attention": False}
    codec = AutoencoderKL(**small | options).eval()
    codec.scale.fill_(4.0)
    return codec


def build_network(channels, **options):
    torch.manual_seed(0)
    flat = {"channels": (8, 16), "layers": 1, "groups": 4, "attention": False}
    return UNet2D(in_channels=channels, out_channels=channels, **flat | options)


def make_latent(**options):
    parts = {"codec": build_codec(), "space": LATENT, "noise": GAUSSIAN, "sampler": CHAIN} | options
    return make(build_network(3), **parts)


def make_wavelets(**options):
    space = {"space": {"size": 16, "code": "haar"}, "noise": GAUSSIAN, "sampler": CHAIN}
    return make(build_network(4), **space | options)


BUILDERS = {"latent": make_latent, "haar": make_wavelets}


@pytest.fixture(params=BUILDERS, scope="module")
def pipe(request):
    return BUILDERS[request.param]()


def test_maps_are_those_of_the_scan(pipe):
    x = images()
    found = pipe(x)
    assert found.anomaly_map.shape == (3, 1, 18, 15)
    assert found.reconstruction.shape == x.shape
    assert found.anomaly_map.max() > 0
    assert not found.anomaly_map[~found.brain].any()


def test_maps_do_not_depend_on_the_batch(pipe):
    together, one = pipe(images()), pipe(images()[1:2])
    torch.testing.assert_close(one.anomaly_map[0], together.anomaly_map[1], rtol=1e-3, atol=1e-5)
    assert same(pipe(images()), together)


def test_maps_are_the_same_after_loading(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    again = AnomalyPipeline.from_pretrained(tmp_path)
    assert same(again(images()), pipe(images()))
    assert again.channels == 1
    assert Candidate.read(str(tmp_path)).channels == 1
    assert json.loads((tmp_path / "preprocessing.json").read_text())["scan"]["channels"] == 1
    words = "latent codes" if pipe.codec is not None else "wavelets"
    assert words in (tmp_path / "README.md").read_text()


def test_volume_is_cut_encoded_and_laid_back(pipe, tmp_path):
    found = pipe(save_volume(tmp_path / "scan.nii.gz", affine=np.diag([-1.0, 1, 2, 1])))
    assert found.anomaly_map.shape == (1, 1, 12, 14, 10)
    assert found.anomaly_map.max() > 0


def test_twin_is_the_scan_outside_a_given_region(pipe):
    x = images()
    region = torch.zeros_like(x)
    region[..., 6:10, 4:9] = 1
    sampler = {"name": "resampled", "coarse": CHAIN, "level": 10, "steps": 2, "score": {"name": "l1"}}
    changed = (pipe(x, region=region, sampler=sampler).reconstruction - x).abs()
    inside = torch.nn.functional.max_pool2d(region, 3, 1, 1) > 0  # placed on another grid
    assert changed[inside].max() > 0.01
    assert changed[~inside].max() < 1e-5


@pytest.mark.parametrize("builder", BUILDERS.values(), ids=BUILDERS)
def test_a_scan_is_encoded_once_however_often_its_code_is_looked_at(builder):
    pipe, calls = builder(), []
    codec = pipe.coding.codec
    encode = codec.encode
    codec.encode = lambda x, generators=None: calls.append(len(x)) or encode(x, generators)
    inner = {"name": "oneshot", "levels": [5, 20], "repeats": 3}
    sampler = {"name": "ensemble", "members": 4, "inner": inner}
    pipe(images(), sampler=sampler, batch_size=2)
    assert calls == [2, 1]
    del codec.encode


def test_wavelets_of_whole_volumes(tmp_path):
    torch.manual_seed(0)
    network = UNet3D(in_channels=8, out_channels=8, channels=(8,), layers=1, groups=4)
    pipe = make(network, space={"axis": "volume", "code": "haar"}, noise=GAUSSIAN, sampler=CHAIN)
    found = pipe(save_volume(tmp_path / "scan.nii.gz", shape=(9, 12, 7)))  # odd sides are padded
    assert found.anomaly_map.shape == (1, 1, 9, 12, 7)
    assert found.anomaly_map.max() > 0


def test_latents_of_whole_volumes(tmp_path):
    torch.manual_seed(0)
    network = UNet3D(in_channels=3, out_channels=3, channels=(8,), layers=1, groups=4)
    space = {"axis": "volume", "code": "latent"}
    pipe = make(network, space=space, noise=GAUSSIAN, sampler=CHAIN, codec=build_codec(dims=3))
    pipe.save_pretrained(tmp_path / "model")
    scan = save_volume(tmp_path / "scan.nii.gz", shape=(9, 12, 7))
    assert same(AnomalyPipeline.from_pretrained(tmp_path / "model")(scan), pipe(scan))


def test_score_of_codes_needs_codes():
    score = {"name": "mean", "scores": [{"name": "change"}, {"name": "code", "blur": 1.0}], "weights": [3, 1]}
    assert make_latent(score=score)(images()).anomaly_map.max() > 0
    with pytest.raises(ValueError, match="score 'code' expected a model of codes"):
        make()(images(), score={"name": "code"})


def test_rebuilt_scan_counts_what_a_codec_loses_as_no_anomaly():
    """A sampler that changes nothing differs from the scan by the loss of the codec alone."""
    pipe = make_latent(sampler={"name": "gated", "level": 2, "gate": 1.0})
    pipe = make(build_network(3, marks=True), **_options(pipe))
    scores = {
        name: pipe(images(), score={"name": name}).anomaly_map.max() for name in ("l1", "rebuilt", "change")
    }
    assert scores["l1"] > 0.01
    assert scores["rebuilt"] == scores["change"] == 0


def _options(pipe):
    return {"codec": pipe.codec, "space": LATENT, "noise": GAUSSIAN, "sampler": dict(pipe.config.sampler)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codec": None}, r"a trained codec with space.code latent \(networks.codec=FOLDER\), found none"),
        ({"space": {"size": 16}}, "space.code latent with a trained codec, found 'pixels'"),
        ({"space": {"size": 16, "code": "haar"}}, "space.code latent with a trained codec, found 'haar'"),
        ({"codec": build_codec(latent=5)}, "a network of 5 channels, as its codec has, found 3"),
        ({"codec": build_codec(dims=3)}, "a codec of 2 spatial axes, found 3"),
        ({"space": {"size": 17, "code": "latent"}}, "space.size in multiples of 2, the factor .*, found 17"),
        ({"space": {**LATENT, "window": [10, 9]}}, "space.window in multiples of 2, the factor .*, found 9"),
        (
            {"codec": MODELS.build("autoencoder", stem=8, down=[4, 4], up=[4, 4])},
            "a codec, such as autoencoder_kl",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        make_latent(**options)


def test_network_of_images_is_refused_in_wavelets():
    with pytest.raises(ValueError, match="a network of 4 channels a sequence, found 1"):
        make(space={"size": 16, "code": "haar"})


def test_latent_model_without_its_codec_is_refused_on_loading(tmp_path):
    make_latent().save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    (tmp_path / "model_index.json").write_text(json.dumps({**index, "codec": [None, None]}))
    with pytest.raises(ModelError, match="a trained codec with space"):
        AnomalyPipeline.from_pretrained(tmp_path)


def test_damaged_codec_is_refused_on_loading(tmp_path):
    make_latent().save_pretrained(tmp_path)
    weights = tmp_path / "codec" / "diffusion_pytorch_model.safetensors"
    values = bytearray(weights.read_bytes())
    values[-5] ^= 1
    weights.write_bytes(values)
    with pytest.raises(ModelError, match="expected the files as they were written"):
        AnomalyPipeline.from_pretrained(tmp_path)
