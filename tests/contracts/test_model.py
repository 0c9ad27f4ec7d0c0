"""What every registered network promises; a new one adds its row to OPTIONS."""

import inspect
import subprocess
import sys

import pytest
import torch
from diffusers import ModelMixin
from safetensors.torch import load_file

from diffad.registry import MODELS

# Options that keep a network small, and the spatial axes it works on: one row for each network.
OPTIONS = {
    "unet2d": ({"channels": [8, 16], "layers": 1, "groups": 4}, 2),
    "unet3d": ({"channels": [8, 16], "layers": 1, "groups": 4}, 3),
}
SIDES = {2: (12, 9), 3: (7, 8, 5)}


@pytest.fixture(params=sorted(MODELS))
def name(request):
    return request.param


@pytest.fixture
def axes(name):
    return OPTIONS[name][1]


@pytest.fixture
def build(name):
    """Build the network, with other options on top."""

    def make(**options):
        torch.manual_seed(0)
        network = MODELS.build(name, **{**OPTIONS[name][0], **options}).eval()
        for weights in network.parameters():
            if not weights.any():  # some begin with an answer of zeros, which would hide everything
                torch.nn.init.normal_(weights, std=0.1)
        return network

    return make


@pytest.fixture
def x(axes):
    return torch.randn(2, 1, *SIDES[axes], generator=torch.Generator().manual_seed(1))


LABELS = torch.tensor([0, 41])


def test_every_network_has_a_row_of_options():
    assert set(OPTIONS) == set(MODELS)


@torch.no_grad()
def test_answer_has_the_shape_of_an_odd_sized_state(build, x):
    network = build()
    y = network(x, LABELS)
    assert y.shape == x.shape
    assert y.isfinite().all()
    assert any(side % network.multiple for side in x.shape[2:])


@torch.no_grad()
def test_channels_in_and_out_are_chosen(build, x, axes):
    y = build(in_channels=3, out_channels=2)(torch.cat([x] * 3, 1), LABELS)
    assert y.shape == (2, 2, *SIDES[axes])


@torch.no_grad()
def test_item_alone_equals_item_in_batch(build, x):
    network = build()
    together = network(x, LABELS)
    for i in range(2):
        torch.testing.assert_close(
            network(x[i : i + 1], LABELS[i : i + 1])[0], together[i], rtol=0, atol=1e-5
        )


@torch.no_grad()
def test_label_matters(build, x):
    network = build()
    assert not torch.allclose(network(x, LABELS), network(x, LABELS + 500))


@torch.no_grad()
def test_saved_and_loaded_network_answers_the_same(build, x, tmp_path):
    network = build()
    network.save_pretrained(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "config.json",
        "diffusion_pytorch_model.safetensors",
    ]
    again = type(network).from_pretrained(tmp_path, use_safetensors=True).eval()
    assert torch.equal(again(x, LABELS), network(x, LABELS))
    assert {k: v for k, v in again.config.items() if k[0] != "_"} == {
        k: list(v) if isinstance(v, tuple) else v for k, v in network.config.items() if k[0] != "_"
    }


@torch.no_grad()
def test_half_precision_weights_on_disk_load_as_float32(build, x, tmp_path):
    network = build().half()
    network.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "diffusion_pytorch_model.safetensors")
    assert {v.dtype for v in stored.values()} == {torch.float16}
    again = type(network).from_pretrained(tmp_path).eval()
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    assert all(torch.equal(v, stored[k].float()) for k, v in again.state_dict().items())
    assert again(x, LABELS).dtype == torch.float32


@torch.no_grad()
def test_network_in_half_precision_takes_states_in_single(build, x):
    network = build()
    narrow = network.to(torch.bfloat16)(x, LABELS).float()
    torch.testing.assert_close(narrow, build()(x, LABELS), rtol=0.1, atol=0.1)


@pytest.mark.parametrize("channels", [0, 2])
def test_wrong_channels_raise_naming_both(build, x, channels):
    found = torch.zeros(2, channels, *x.shape[2:])
    with pytest.raises(ValueError, match=rf"expected \(B, C, .*\) with C = 1, got \(2, {channels}, "):
        build()(found, LABELS)


def test_wrong_number_of_axes_raises(build, x):
    for found in (x[..., 0], x[..., None]):
        with pytest.raises(ValueError, match="expected "):
            build()(found, LABELS)


@pytest.mark.parametrize(("channels", "groups"), [([8, 18], 4), ([], 4), ([0, 8], 4), ([8], 0)])
def test_widths_that_groups_cannot_divide_raise(build, channels, groups):
    with pytest.raises(ValueError, match=f"expected widths divisible by groups = {groups}, got"):
        build(channels=channels, groups=groups)


def test_gradient_reaches_every_weight(build, x):
    network = build().train()
    network(x, LABELS).square().mean().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_network_is_saved_the_diffusers_way_with_every_option(build, name):
    network = build()
    assert isinstance(network, ModelMixin)
    assert set(inspect.signature(MODELS[name]).parameters) <= set(network.config)


def test_monai_is_imported_only_by_those_who_need_it():
    code = "import sys; from diffad import MODELS; MODELS['unet2d'](); print('monai' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
