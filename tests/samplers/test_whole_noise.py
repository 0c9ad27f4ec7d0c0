"""The image that is noised everywhere, shown beside a box: whose noise it has, and what is refused."""

import pytest
import torch

from diffad.config import load
from diffad.denoise import NetworkDenoiser, rebuild_weight, takes_whole
from diffad.engines.core import find_core, isolate_core, make_inputs
from diffad.models.bridge import Bridge
from diffad.models.chunked import Chunked
from diffad.models.wrapped import wrap_network
from diffad.samplers.patched import Patched
from diffad.training.run import train
from tests.helpers.toys import GaussianDenoiser, linear_schedule, white_noise

UNET = {"name": "unet2d", "channels": [8], "layers": 1, "groups": 4, "attention": False}
SMALL = {"widths": [4], "groups": 4, "backbone": UNET}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Bridge(**SMALL).eval()


def seeded(count=3):
    return [torch.Generator().manual_seed(s) for s in range(count)]


def restore(network, whole_noise, x, generators=None, **options):
    denoiser = NetworkDenoiser(Chunked(network, 5), linear_schedule(), "sample")
    sampler = Patched(6, inner={"name": "oneshot", "levels": 400}, whole_noise=whole_noise, **options)
    return sampler(x, denoiser, white_noise, generator=generators or seeded(len(x))).image


def slices(count=3):
    return torch.rand(count, 1, 12, 10, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("options", [{"whole_noise": "other"}], ids=str)
def test_noise_there_is_not_is_refused(options):
    with pytest.raises(ValueError, match=r"whole_noise must be one of \('shared', 'own'\), got 'other'"):
        Patched(**options)


@pytest.mark.parametrize(
    "options", [{"context": False}, {"inner": {"name": "chain", "level": 20, "steps": 2}}], ids=str
)
def test_own_noise_is_refused_where_the_scan_would_be_shown(options):
    with pytest.raises(ValueError, match=r"expected boxes in context and the inner sampler 'oneshot'"):
        Patched(whole_noise="own", **options)


def test_own_noise_needs_a_network_that_is_shown_it():
    with pytest.raises(ValueError, match=r"expected a network that is shown the whole image noised, such as"):
        Patched(6, whole_noise="own")(slices(), GaussianDenoiser(), white_noise, generator=seeded())


@pytest.mark.parametrize("whole_noise", ["shared", "own"])
def test_item_alone_and_chunks_of_boxes_equal_the_batch(whole_noise, network):
    x = slices()
    together = restore(network, whole_noise, x)
    for i in range(3):
        alone = restore(network, whole_noise, x[i : i + 1], seeded()[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-5)
    torch.testing.assert_close(restore(network, whole_noise, x, at_once=1), together, rtol=0, atol=1e-5)


def test_the_noise_matters_to_the_network(network):
    assert not torch.allclose(restore(network, "shared", slices()), restore(network, "own", slices()))


def test_a_network_without_a_whole_image_takes_its_state_for_it(network):
    x, labels = slices(), torch.tensor([1, 2, 3])
    assert torch.equal(network(x, labels), network(x, labels, whole=x))
    with pytest.raises(
        ValueError, match=r"Bridge expected a whole image \(3, 1, 12, 10\), got \(3, 1, 12, 9"
    ):
        network(x, labels, whole=x[..., :-1])


def test_second_answer_comes_in_training_alone(network):
    x, labels = slices(), torch.tensor([1, 2, 3])
    assert network(x, labels).shape[1] == 1
    assert network.train()(x, labels).shape[1] == 2
    silent = Bridge(**SMALL, rebuild=0.0).train()
    assert silent(x, labels).shape[1] == 1


def test_capabilities_are_found_through_wrappers(network):
    assert takes_whole(network)
    assert takes_whole(Chunked(network, 2))
    assert not takes_whole(Chunked(lambda x_t, labels: x_t, 2))
    assert rebuild_weight(network) == 2.0

    class Plain(torch.nn.Module):
        takes_whole, rebuild_weight = True, 0.5

    wrapped = wrap_network("", {}, Plain())
    assert takes_whole(wrapped)
    assert rebuild_weight(wrapped) == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": {}}, "Bridge expected a backbone with a name"),
        ({"backbone": {**UNET, "in_channels": 2}}, "Bridge expected a backbone without"),
        ({"widths": [6]}, "Bridge expected widths divisible by groups = 4"),
        ({"rebuild": -1.0}, r"Bridge expected rebuild in \[0, 1000\], got -1.0"),
        ({"dims": 4}, "Bridge expected dims of 2 or 3, got 4"),
    ],
    ids=str,
)
def test_networks_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Bridge(**{**SMALL, **options})


def test_features_learn_from_their_own_error(tmp_path):
    """The decoder is moved by nothing else, so that its weights change only if that error counts."""
    changes = ["variant=smoke", "data={name: toy, size: 24, count: 4}", "space.size=24", "sampler.box=12"]
    changes += ["train.steps=1", "train.warmup=0", "train.batch_size=2", "train.ema_decay=0.0"]
    changes += ["train.validate_every=1", "train.validate_items=2", "train.checkpoint_every=1"]
    weights = {}
    for rebuild in (0.0, 2.0):
        where = [f"model.rebuild={rebuild}", f"output={tmp_path}", f"name=run{rebuild}"]
        folder = train(load("mcddpm", [*changes, *where]))
        weights[rebuild] = Bridge.from_pretrained(folder / "network").decoder.state_dict()
    assert any(not torch.equal(v, weights[2.0][k]) for k, v in weights[0.0].items())


def test_an_engine_finds_the_core_and_its_second_way_down():
    unet = {"name": "adm", "base": 8, "mults": [1, 2], "layers": 1, "groups": 4, "context": True}
    deep = Bridge(widths=[4], groups=4, backbone=unet).eval()
    torch.nn.init.normal_(deep.backbone.out.weight)
    name = find_core(deep)
    inputs = make_inputs(deep, name)
    assert [value.ndim for value in inputs] == [4, 2, 2]
    core = isolate_core(deep, name, inputs)
    assert torch.equal(core(*inputs), deep.backbone.run_core(*inputs))
    assert name == "backbone"
