"""The networks of Wolleb et al. and Dif-fuse, in little: trained, stored, loaded and asked as published."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.config import ConfigError
from diffad.data.toy import Toy
from diffad.models.auxiliary import load_network
from diffad.noise.gaussian import GaussianNoise
from diffad.training.batch import Batch
from diffad.training.classifying import Classifying, weigh_classes
from diffad.training.run import train
from tests.helpers.toys import linear_schedule
from tests.training.test_objectives import CLASSIFY, brains

ADM = (
    "{name: adm, base: 8, mults: [1, 2], layers: 1, groups: 4, attention: [2], heads: 1, film: false, "
    "resample: convolution, classes: 2, learned_variance: true}"
)
DENOISE = [
    f"model={ADM}",
    "sampler={name: inversion, level: 6, reference: true}",
    "guidance={name: classifier, scale: 2.0, reference: true}",
    "space.size=24",
]
CLEAN = [
    *CLASSIFY,
    "model={name: resnet, depth: 10, planes: 8}",
    "train.levels=[0, 0]",
    "train.class_weights=[0.603, 0.397]",
]


def labelled(monkeypatch):
    plain = Toy.__getitem__
    monkeypatch.setattr(Toy, "__getitem__", lambda self, i: replace(plain(self, i), label=i // 2 % 2))


def test_network_of_classes_is_trained_calibrated_stored_and_asked_as_published(small, monkeypatch, tmp_path):
    labelled(monkeypatch)
    classifier = train(small(*CLASSIFY, "corrupt={tasks: []}", f"output={tmp_path / 'judge'}"))
    folder = train(small(*DENOISE, f"networks.classifier={classifier}"))
    pipe = AnomalyPipeline.from_pretrained(folder)
    image, brain = brains(2)
    out = pipe(image, brain)
    assert out.anomaly_map.max() > 0
    assert out.info["nfe"] == 10
    with pytest.raises(ValueError, match="expected the class of each item"):
        pipe(image, brain, guidance={"name": "classifier", "scale": 2.0})


def test_scans_of_unknown_class_are_an_error_before_anything_is_learned(small):
    with pytest.raises(ValueError, match="ADM expected the class of each item"):
        train(small(*DENOISE, "guidance=null", "sampler={name: chain, level: 5}"))


def test_classifier_of_clean_slices_is_trained_and_stored(small, monkeypatch):
    labelled(monkeypatch)
    folder = train(small(*CLEAN, "corrupt={tasks: []}"))
    assert set(json.loads((folder / "training.json").read_text())["held_out"]) >= {"val_accuracy_0"}
    network = load_network(folder)
    assert network(torch.zeros(2, 1, 24, 24), torch.tensor([-1, -1])).shape == (2, 2)


def test_classifier_of_clean_slices_refuses_to_be_trained_on_noise(small, monkeypatch):
    labelled(monkeypatch)
    with pytest.raises(ValueError, match=r"ResNet expected clean images, at level 0 \(train\.levels"):
        train(small(*CLEAN, "corrupt={tasks: []}", "train.levels=[5, 9]"))


class Constant(torch.nn.Module):
    def forward(self, x_t, labels):
        return torch.tensor([0.3, -0.4]).expand(len(x_t), 2)


def test_classes_weigh_as_the_config_says(small):
    """The cross-entropy of torch with the same weights, item by item."""
    image, brain = brains(4)
    label = torch.tensor([0, 1, 1, 0])
    batch = Batch(image, brain, image, label)
    losses = []
    for weights in ("null", "[0.603, 0.397]"):
        config = small(*CLASSIFY, f"train.class_weights={weights}")
        run = SimpleNamespace(
            config=config, noise=GaussianNoise(), schedule=linear_schedule(), network=Constant()
        )
        generators = [torch.Generator().manual_seed(i) for i in range(4)]
        losses.append(Classifying().loss(run, batch, generators))
    torch.testing.assert_close(losses[1], losses[0] * torch.tensor([0.603, 0.397])[label])


def test_weights_of_other_classes_raise(small):
    config = small(*CLASSIFY, "train.class_weights=[1, 1, 1]")
    with pytest.raises(ConfigError, match=r"train.class_weights: expected 2 weights, .* found 3"):
        weigh_classes(config, torch.zeros(1, 2))
    for weights in ("[1]", "[1, 0]", "[1, .inf]"):
        with pytest.raises(ConfigError, match=r"train.class_weights.*a number above 0"):
            small(*CLASSIFY, f"train.class_weights={weights}")


def test_variance_that_nothing_would_train_is_refused(small):
    adm = "{name: adm, base: 8, mults: [1], groups: 4, learned_variance: true}"
    with pytest.raises(ConfigError, match="config key model: expected learned_variance of a network by itse"):
        train(small(f"model={{name: labelled, backbone: {adm}}}", "space.size=24"))
    with pytest.raises(ConfigError, match=r"model\.learned_variance: expected false with .*type flow"):
        train(small(f"model={adm}", "schedule={prediction_type: flow}", "space.size=24"))
