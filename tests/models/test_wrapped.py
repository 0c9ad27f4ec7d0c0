"""Any torch module is a network, and is saved as its name, its options and its weights."""

import inspect
import json

import pytest
import torch
from diffusers import DDPMScheduler

from diffad.denoise import network_conditions
from diffad.models.auxiliary import load_network
from diffad.models.pretrained import ModelError
from diffad.models.wrapped import WrappedNetwork
from diffad.pipeline import AnomalyPipeline
from diffad.registry import MODELS
from diffad.training.parts import build_part


class Net(torch.nn.Module):
    """A network without a config, told of an image on request."""

    multiple = 4

    def __init__(self, in_channels=2, scale=1.0, kernel=torch.nn.ReLU):
        super().__init__()
        self.scale, self.in_channels = scale, in_channels
        self.layer = torch.nn.Conv2d(in_channels, in_channels, 1)

    def conditions(self, image, mask):
        return {"image": image}

    def forward(self, x, labels, image=0.0):
        return self.scale * self.layer(x) + labels[:, None, None, None] + image


@pytest.fixture(autouse=True)
def _registered():
    with MODELS.scope():
        MODELS.register("plain")(Net)
        MODELS.register("factory")(lambda scale=1.0: torch.nn.Identity())
        yield


X, LABELS = torch.rand(2, 2, 5, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 7])


def test_module_answers_as_it_would_alone():
    network = MODELS.build("plain", scale=2.0)
    assert isinstance(network, WrappedNetwork)
    assert torch.equal(network(X, LABELS), network.inner(X, LABELS))
    assert network(X, LABELS)[1].mean() > 5


def test_wrapper_knows_channels_options_and_what_the_module_can_do():
    network = MODELS.build("plain", in_channels=3)
    assert network.config.in_channels == 3
    assert MODELS.build("plain").config.in_channels == 2
    assert network.multiple == 4
    assert network_conditions(network, X, X)["image"] is X
    assert inspect.getattr_static(network, "conditions")  # how Python 3.12 looks at protocols
    assert network_conditions(MODELS.build("factory"), X, X) == {}
    assert network.scale == 1.0
    with pytest.raises(AttributeError, match="no_such_thing"):
        network.no_such_thing  # noqa: B018


def test_answers_of_other_shapes_are_unwrapped():
    class Answer(torch.nn.Module):
        def forward(self, x, labels):
            return (x + 1, labels)

    assert torch.equal(WrappedNetwork("", module=Answer())(X, LABELS), X + 1)


def test_config_builds_a_wrapped_network():
    network = build_part(MODELS, {"name": "plain", "scale": 3.0}, "model")
    assert dict(network.config.options) == {"scale": 3.0}


def test_saved_and_loaded_module_answers_the_same(tmp_path):
    network = MODELS.build("plain", scale=2.0, in_channels=2)
    network.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["part"] == "plain"
    again = WrappedNetwork.from_pretrained(tmp_path, use_safetensors=True)
    assert torch.equal(again(X, LABELS), network(X, LABELS))
    assert torch.equal(load_network(tmp_path)(X, LABELS), network(X, LABELS))


def make_pipeline(network):
    scheduler = DDPMScheduler(num_train_timesteps=20, clip_sample=False)
    sampler, space = {"name": "oneshot", "levels": [5]}, {"size": 16}
    return AnomalyPipeline(network, scheduler, sampler=sampler, space=space, sequences=["t1", "t2"])


def test_pipeline_of_a_module_is_saved_and_loaded(tmp_path):
    pipe = make_pipeline(MODELS.build("plain"))
    pipe.save_pretrained(tmp_path)
    image = torch.rand(1, 2, 16, 16, generator=torch.Generator().manual_seed(1))
    again = AnomalyPipeline.from_pretrained(tmp_path)
    assert torch.equal(again(image).anomaly_map, pipe(image).anomaly_map)


def test_pipeline_names_the_network_that_nobody_registered(tmp_path):
    make_pipeline(MODELS.build("plain")).save_pretrained(tmp_path)
    MODELS._parts.pop("plain")
    with pytest.raises(
        ModelError, match=r"found: network 'plain', which is not a registered part; .*--plugin"
    ):
        AnomalyPipeline.from_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"network 'plain', which is not a registered part; .*--plugin"):
        load_network(tmp_path / "network")


def test_module_of_no_name_works_but_cannot_be_saved(tmp_path):
    pipe = make_pipeline(Net())
    assert pipe(torch.rand(1, 2, 16, 16)).anomaly_map.shape == (1, 1, 16, 16)
    with pytest.raises(ValueError, match="Net: expected a registered network to save"):
        pipe.save_pretrained(tmp_path / "pipe")


def test_option_that_json_cannot_hold_is_named_when_it_is_saved(tmp_path):
    network = MODELS.build("plain", kernel=torch.nn.Tanh)
    assert network(X, LABELS).shape == X.shape
    with pytest.raises(
        ValueError, match=r"network 'plain': expected options that JSON can hold.* kernel = <class"
    ):
        network.save_pretrained(tmp_path)


def test_module_of_a_factory_is_a_network(tmp_path):
    network = MODELS.build("factory", scale=2.0)
    assert network.config.part == "factory"
    assert network.multiple == 1


def test_network_of_ours_stays_as_it_is():
    assert type(MODELS.build("unet2d", channels=[8], groups=4, layers=1)).__name__ == "UNet2D"
