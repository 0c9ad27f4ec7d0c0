"""What every registered network promises; a new one adds its row to OPTIONS."""

import inspect
import subprocess
import sys

import pytest
import torch
from diffusers import ModelMixin
from safetensors.torch import load_file

from diffad.models.resnet import ResNet
from diffad.registry import MODELS

# A network inside another, and the encoder beside it.
SMALL = {"name": "unet2d", "channels": [8, 16], "layers": 1, "groups": 4}
KL = {"channels": [8, 16], "layers": 1, "groups": 4, "latent": 3}
VECTOR = {"depth": 10, "width": 6, "planes": 8}
# Options that keep a network small, and the spatial axes it works on: one row for each network, or one for
# each number of axes, where what follows the first word tells the rows apart.
OPTIONS = {
    "adm": ({"base": 8, "mults": [1, 2], "layers": 1, "groups": 4, "attention": [2]}, 2),
    "adm in 3-D": ({"base": 8, "mults": [1, 2], "layers": 1, "groups": 4, "heads": 2, "dims": 3}, 3),
    "adm with context": ({"base": 8, "mults": [1, 2], "layers": 1, "groups": 4, "context": True}, 2),
    "adm with context in 3-D": (
        {"base": 8, "mults": [1, 2], "layers": 1, "groups": 4, "context": True, "heads": 2, "dims": 3},
        3,
    ),
    "adm with convolutions and a variance": (
        {
            "base": 8,
            "mults": [1, 2],
            "layers": 1,
            "groups": 4,
            "film": False,
            "resample": "convolution",
            "learned_variance": True,
        },
        2,
    ),
    "autoencoder": ({"stem": 8, "down": [4, 6], "up": [6, 4]}, 2),
    "autoencoder in 3-D": ({"stem": 8, "down": [4, 6], "up": [6, 4], "dims": 3}, 3),
    "autoencoder_kl": (KL, 2),
    "autoencoder_kl in 3-D": ({**KL, "dims": 3}, 3),
    "autoencoder_vq": ({**KL, "entries": 8}, 2),
    "beside": ({"backbone": SMALL}, 2),
    "beside in 3-D": ({"backbone": {**SMALL, "name": "unet3d"}}, 3),
    "bridge": ({"backbone": SMALL, "widths": [4, 8], "groups": 4}, 2),
    "bridge in 3-D": ({"backbone": {**SMALL, "name": "unet3d"}, "widths": [4], "groups": 4, "dims": 3}, 3),
    "classifier": ({"channels": [8, 16], "layers": 1, "groups": 4}, 2),
    "classifier in 3-D": ({"channels": [8, 16], "layers": 1, "groups": 4, "dims": 3}, 3),
    "conditioned": ({"backbone": SMALL, "encoder": VECTOR}, 2),
    "conditioned in 3-D": ({"backbone": {**SMALL, "name": "unet3d"}, "encoder": {**VECTOR, "dims": 3}}, 3),
    "dae": ({"width_exponent": 3, "depth": 2}, 2),
    "dae in 3-D": ({"width_exponent": 3, "depth": 2, "dims": 3}, 3),
    "detail": ({"backbone": SMALL}, 2),
    "detail in 3-D": ({"backbone": {**SMALL, "name": "unet3d"}}, 3),
    "dit": ({"patch": 4, "width": 24, "depth": 2, "heads": 2, "grid": 4}, 2),
    "dtunet": ({"patch": 4, "width": 24, "depth": 2, "heads": 3, "grid": 4}, 2),
    "dtunet as published": ({"patch": 8, "width": 24, "depth": 2, "heads": 2, "grid": 2, "norm": "batch"}, 2),
    "labelled": ({"backbone": SMALL, "width": 6}, 2),
    "labelled in 3-D": ({"backbone": {**SMALL, "name": "unet3d"}, "width": 6}, 3),
    "references": ({"count": 5, "size": (12, 9)}, 2),
    "references in 3-D": ({"count": 3, "size": (7, 8, 5)}, 3),
    "resnet": ({"depth": 10, "planes": 8}, 2),
    "resnet in 3-D": ({"depth": 10, "planes": 8, "dims": 3, "norm": "group"}, 3),
    "strided": ({"channels": [8, 16], "groups": 4}, 3),
    "strided as published": ({"channels": [8, 16, 16], "norm": "batch", "dropout": 0.2}, 3),
    "strided in 2-D": ({"channels": [8, 16], "groups": 4, "dims": 2}, 2),
    "unet2d": ({"channels": [8, 16], "layers": 1, "groups": 4}, 2),
    "unet2d with attention everywhere": (
        {"channels": [8, 16], "layers": 1, "groups": 4, "attention": {"down": [0, 1], "up": [0, 1]}},
        2,
    ),
    "unet3d": ({"channels": [8, 16], "layers": 1, "groups": 4}, 3),
    "unet3d in 2-D": ({"channels": [8, 16], "layers": 1, "groups": 4, "dims": 2, "attention": [0, 1]}, 2),
    "uvit": ({"patch": 4, "width": 24, "depth": 2, "heads": 3, "grid": 4}, 2),
}
SIDES = {2: (12, 9), 3: (7, 8, 5)}
# Rows of the networks that answer with an image.
IMAGELESS = ("classifier", "resnet", "autoencoder_kl", "autoencoder_vq", "references")
PAINTERS = [row for row in OPTIONS if row.split()[0] not in IMAGELESS]
# Rows of those among them that may answer with other channels than they see.
DENOISERS = [row for row in PAINTERS if row.split()[0] != "autoencoder"]
# Rows of the networks that take a condition vector.
EMBEDDING = [
    "adm",
    "adm in 3-D",
    "adm with convolutions and a variance",
    "dit",
    "dtunet",
    "unet2d",
    "unet3d",
    "unet3d in 2-D",
    "uvit",
]
# Rows of the networks that know a level, and choose widths and groups.
LEVELLED = [row for row in OPTIONS if row.split()[0] not in ("dae", "autoencoder", "strided", *IMAGELESS[1:])]
WIDTHS = [row for row in LEVELLED if "groups" in OPTIONS[row][0] and "backbone" not in OPTIONS[row][0]]


@pytest.fixture(params=sorted(OPTIONS))
def row(request):
    return request.param


@pytest.fixture
def name(row):
    return row.split()[0]


@pytest.fixture
def axes(row):
    return OPTIONS[row][1]


@pytest.fixture
def build(row, name):
    """Build the network, with other options on top."""

    def make(**options):
        torch.manual_seed(0)
        network = MODELS.build(name, **{**OPTIONS[row][0], **options}).eval()
        for weights in network.parameters():
            if not weights.any():  # some begin with an answer of zeros, which would hide everything
                torch.nn.init.normal_(weights, std=0.1)
        return network

    return make


@pytest.fixture
def x(axes):
    return torch.randn(2, 1, *SIDES[axes], generator=torch.Generator().manual_seed(1))


LABELS = torch.tensor([0, 41])


def ask(network, x, labels):
    """Call a network as training does: those that ask for conditions get a clean image."""
    if "labels" not in inspect.signature(network.forward).parameters:
        answer = network(x)
        # an autoencoder of latent distributions says these, too
        return torch.cat([v.flatten(1) for v in answer], 1) if isinstance(answer, tuple) else answer
    if isinstance(network, ResNet):  # which knows clean images alone
        labels = torch.full_like(labels, -1)
    condition = {"image": x.float().sigmoid()} if hasattr(network, "conditions") else {}
    return network(x, labels, **condition)


def test_every_network_has_a_row_of_options():
    assert {row.split()[0] for row in OPTIONS} == set(MODELS)


@pytest.mark.parametrize("row", PAINTERS, indirect=True)
@torch.no_grad()
def test_answer_has_the_shape_of_an_odd_sized_state(build, x):
    network = build()
    y = ask(network, x, LABELS)
    assert y.shape == x.shape
    assert y.isfinite().all()
    assert any(side % network.multiple for side in x.shape[2:])


@pytest.mark.parametrize("row", DENOISERS, indirect=True)
@torch.no_grad()
def test_channels_in_and_out_are_chosen(build, x, axes):
    y = ask(build(in_channels=3, out_channels=2), torch.cat([x] * 3, 1), LABELS)
    assert y.shape == (2, 2, *SIDES[axes])


@torch.no_grad()
def test_item_alone_equals_item_in_batch(build, x):
    network = build()
    together = ask(network, x, LABELS)
    for i in range(2):
        torch.testing.assert_close(
            ask(network, x[i : i + 1], LABELS[i : i + 1])[0], together[i], rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("row", LEVELLED, indirect=True)
@torch.no_grad()
def test_label_matters(build, x):
    network = build()
    assert not torch.allclose(ask(network, x, LABELS), ask(network, x, LABELS + 500))


@torch.no_grad()
def test_saved_and_loaded_network_answers_the_same(build, x, tmp_path):
    network = build()
    network.save_pretrained(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "config.json",
        "diffusion_pytorch_model.safetensors",
    ]
    again = type(network).from_pretrained(tmp_path, use_safetensors=True).eval()
    assert torch.equal(ask(again, x, LABELS), ask(network, x, LABELS))
    assert {k: v for k, v in again.config.items() if k[0] != "_"} == {
        k: list(v) if isinstance(v, tuple) else v for k, v in network.config.items() if k[0] != "_"
    }


@torch.no_grad()
def test_half_precision_weights_on_disk_load_as_float32(build, x, tmp_path):
    network = build().half()
    network.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "diffusion_pytorch_model.safetensors")
    assert {v.dtype for v in stored.values() if v.is_floating_point()} == {torch.float16}
    again = type(network).from_pretrained(tmp_path).eval()
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    assert all(torch.equal(v, stored[k].to(v.dtype)) for k, v in again.state_dict().items())
    assert ask(again, x, LABELS).dtype == torch.float32


@torch.no_grad()
def test_network_in_half_precision_takes_states_in_single(build, x):
    network = build()
    narrow = ask(network.to(torch.bfloat16), x, LABELS).float()
    torch.testing.assert_close(narrow, ask(build(), x, LABELS), rtol=0.1, atol=0.1)


@pytest.mark.parametrize("channels", [0, 2])
def test_wrong_channels_raise_naming_both(build, x, channels):
    wrong_x = torch.zeros(2, channels, *x.shape[2:])
    with pytest.raises(ValueError, match=rf"expected \(B, C, .*\) with C = 1, got \(2, {channels}, "):
        ask(build(), wrong_x, LABELS)


def test_wrong_number_of_axes_raises(build, x):
    for wrong_x in (x[..., 0], x[..., None]):
        with pytest.raises(ValueError, match="expected "):
            ask(build(), wrong_x, LABELS)


@pytest.mark.parametrize("row", WIDTHS, indirect=True)
@pytest.mark.parametrize(("channels", "groups"), [([8, 18], 4), ([], 4), ([0, 8], 4), ([8], 0)])
def test_widths_that_groups_cannot_divide_raise(build, name, channels, groups):
    widths = {"base": 1, "mults": channels} if name == "adm" else {"channels": channels}
    with pytest.raises(ValueError, match=f"expected widths divisible by groups = {groups}, got"):
        build(**widths, groups=groups)


@pytest.mark.parametrize("row", EMBEDDING, indirect=True)
@torch.no_grad()
def test_embedding_changes_the_answer_for_its_own_item_only(build, x):
    network = build(embedding=6)
    c = torch.randn(2, 6, generator=torch.Generator().manual_seed(2))
    y = network(x, LABELS, embedding=c)
    other = network(x, LABELS, embedding=torch.stack([c[0], c[1] + 1]))
    assert torch.equal(other[0], y[0])
    assert not torch.allclose(other[1], y[1])
    alone = network(x[1:], LABELS[1:], embedding=c[1:])
    torch.testing.assert_close(alone[0], y[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("row", EMBEDDING, indirect=True)
def test_gradient_reaches_the_embedding_and_its_layers(build, x):
    network, c = build(embedding=6).train(), torch.randn(2, 6, requires_grad=True)
    network(x, LABELS, embedding=c).square().mean().backward()
    assert c.grad.abs().min() > 0
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("row", EMBEDDING, indirect=True)
@torch.no_grad()
def test_saved_and_loaded_network_knows_its_embedding(build, x, tmp_path):
    network, c = build(embedding=6), torch.ones(2, 6)
    network.save_pretrained(tmp_path)
    again = type(network).from_pretrained(tmp_path, use_safetensors=True).eval()
    assert torch.equal(again(x, LABELS, embedding=c), network(x, LABELS, embedding=c))


@pytest.mark.parametrize("row", EMBEDDING, indirect=True)
def test_embedding_missing_surplus_or_of_another_length_raises(build, x):
    with pytest.raises(ValueError, match=r"expected an embedding \(2, 6\), got none"):
        build(embedding=6)(x, LABELS)
    with pytest.raises(ValueError, match=r"expected an embedding \(2, 6\), got \(2, 5\)"):
        build(embedding=6)(x, LABELS, embedding=torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"expected no embedding, .* embedding = 0, got one"):
        build()(x, LABELS, embedding=torch.zeros(2, 6))
    with pytest.raises(ValueError, match="expected embedding of at least 0, got -1"):
        build(embedding=-1)


@pytest.mark.parametrize("row", EMBEDDING, indirect=True)
def test_network_without_embedding_has_no_weights_for_one(build):
    keys, more = (set(build(**o).state_dict()) for o in ({}, {"embedding": 6}))
    assert keys < more
    assert {k.split(".")[0] for k in more - keys} == {"condition"}


def test_gradient_reaches_every_weight(build, x):
    network = build().train()
    ask(network, x, LABELS).square().mean().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_network_is_saved_the_diffusers_way_with_every_option(build, name):
    network = build()
    assert isinstance(network, ModelMixin)
    assert set(inspect.signature(MODELS[name]).parameters) <= set(network.config)


def test_monai_is_imported_only_by_those_who_need_it():
    code = "import sys; from diffad import MODELS; MODELS['unet2d'](); print('monai' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
