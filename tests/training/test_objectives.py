"""What a run trains for: classes, clean slices, or healthy slices behind corrupted ones."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.config import ConfigError, CorruptConfig
from diffad.data.items import DataError
from diffad.data.space import to_model
from diffad.data.toy import Toy
from diffad.denoise import NetworkDenoiser, training_target
from diffad.models.auxiliary import load_network
from diffad.models.pretrained import ModelError
from diffad.noise.gaussian import GaussianNoise
from diffad.registry import MODELS
from diffad.samplers.oneshot import OneShot
from diffad.schedule import Schedule
from diffad.training import classifying
from diffad.training.batch import Batch, corrupt_items
from diffad.training.checkpoint import CheckpointError
from diffad.training.example import make_batch_example
from diffad.training.journal import make_accelerator
from diffad.training.parts import build_data
from diffad.training.run import train
from diffad.training.state import NetworkRun, RunState
from diffad.training.trainer import Trainer
from diffad.types import generator_for

CLASSIFY = [
    "task=classify",
    "model={name: classifier, channels: [8], layers: 1, attention: false}",
    "corrupt={tasks: [blend, intensity], chance: 1.0, role: class}",
    "train.levels=[0, 20]",
    "train.validate_levels=3",
    "space.size=24",
]
BACKBONE = "{name: unet2d, channels: [8], layers: 1, attention: false}"
AUTOENCODE = [
    "task=autoencode",
    "model={name: autoencoder, stem: 8, down: [4, 4], up: [4, 4]}",
    "space.size=24",
]


@pytest.fixture
def trainer_of():
    """Make a trainer; accelerate's state is cleared between tests."""
    from accelerate.state import AcceleratorState

    yield lambda config: Trainer(config, make_accelerator(config))
    AcceleratorState._reset_state(True)


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_classifier_logs_its_accuracy_per_level_and_loads_again(small):
    folder = train(small(*CLASSIFY))
    assert folder.name == "network"
    checked = log_of(folder.parent)[-1]
    assert {f"val_accuracy_{t}" for t in (0, 10, 20)} <= set(checked)
    made = json.loads((folder / "training.json").read_text())
    assert made["held_out"]["val_accuracy_10"] == pytest.approx(checked["val_accuracy_10"])
    assert (folder.parent / "curves.png").stat().st_size > 0
    network = load_network(folder)
    assert network(torch.zeros(2, 1, 24, 24), torch.tensor([-1, 5])).shape == (2, 2)
    assert not any(p.requires_grad for p in network.parameters())


def test_classifier_learns_obvious_classes(small, trainer_of, monkeypatch):
    config = small(
        *CLASSIFY, "corrupt={tasks: []}", "train.levels=[0, 0]", "train.lr=1.0e-2", "train.steps=40"
    )
    trainer = trainer_of(config)
    label = torch.arange(8) % 2
    noise = torch.rand(8, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    stripes = (torch.arange(24) // 2 % 2).float()
    x = 0.3 * noise + 0.5 * label.reshape(8, 1, 1, 1) * stripes
    losses = [trainer.update([(x, torch.ones_like(x), torch.arange(8), label)]) for _ in range(40)]
    assert losses[0] > 0.5
    assert losses[-1] < 0.8 * losses[0]


def test_autoencoder_learns_and_loads_again(small):
    folder = train(small(*AUTOENCODE, "train.steps=30", "train.lr=1.0e-2", "train.validate_every=30"))
    log = log_of(folder.parent)
    assert sum(row["loss"] for row in log[-5:]) < 0.7 * sum(row["loss"] for row in log[:5])
    assert log[-1]["val_mae"] > 0
    assert (folder.parent / "samples" / "step-0000030.png").is_file()
    x = torch.rand(1, 1, 24, 24)
    assert load_network(folder)(x).shape == x.shape


def test_labels_that_are_missing_are_an_error(small):
    with pytest.raises(DataError, match="data: expected a label for each scan, found none for 8 of 8"):
        train(small(*CLASSIFY, "corrupt={tasks: []}"))


def labelled(monkeypatch, rule):
    """Give the slices drawn by formula labels by their number."""
    plain = Toy.__getitem__
    monkeypatch.setattr(Toy, "__getitem__", lambda self, i: replace(plain(self, i), label=rule(self, i)))


def test_a_single_class_is_an_error(small, monkeypatch):
    labelled(monkeypatch, lambda data, i: 0)
    with pytest.raises(DataError, match=r"expected healthy and diseased scans, found only healthy \(8\)"):
        train(small(*CLASSIFY, "corrupt={tasks: []}"))


def test_a_single_class_in_validation_is_an_error(small, monkeypatch):
    labelled(monkeypatch, lambda data, i: i % 2 if data._first == 0 else 1)
    with pytest.raises(ConfigError, match="both classes in validation, found 0 healthy and 4 diseased"):
        train(small(*CLASSIFY, "corrupt={tasks: []}"))


def test_labels_of_the_data_teach_without_corruptions(small, monkeypatch):
    labelled(monkeypatch, lambda data, i: int(i in (0, 2, 5, 7)))
    folder = train(small(*CLASSIFY, "corrupt={tasks: []}"))
    assert 0 <= json.loads((folder / "training.json").read_text())["held_out"]["val_accuracy"] <= 1


def brains(n=4, size=24):
    axis = torch.linspace(-1, 1, size)
    disc = (axis[:, None] ** 2 + axis**2 < 0.7).float()
    brain = disc.expand(n, 1, size, size).clone()
    return brain * (0.5 + 0.3 * axis), brain


def batch_of(config, image, brain, label=-1, seed=0):
    generators = [generator_for(seed, i) for i in range(len(image))]
    labels, corrupt = torch.full((len(image),), label), config.corrupt
    return corrupt_items(image, brain, labels, corrupt, corrupt.tasks, generators)


def test_condition_is_corrupted_and_target_is_not(small):
    config = small("corrupt={tasks: [intensity], chance: 1.0, role: condition}")
    image, brain = brains()
    batch = batch_of(config, image, brain)
    assert torch.equal(batch.image, image)
    assert all((cond != x).any() for cond, x in zip(batch.cond_image, image, strict=True))
    assert batch.label.tolist() == [-1] * 4


def test_class_is_what_was_corrupted_and_pairs_share_the_rest(small):
    config = small("corrupt={tasks: [intensity], chance: 0.5, role: class}")
    image, brain = brains(16)
    batch = batch_of(config, image, brain)
    changed = (batch.image != image).flatten(1).any(1)
    assert torch.equal(changed.long(), batch.label)
    assert 0 < int(batch.label.sum()) < 16
    images, label = classifying.pair_items(batch)
    assert torch.equal(images[16:], image)
    assert label[16:].sum() == 0
    assert torch.equal(label[:16], batch.label)


def test_a_scan_of_the_diseased_class_stays_diseased(small):
    config = small("corrupt={tasks: [intensity], chance: 0.0, role: class}")
    assert batch_of(config, *brains(), label=1).label.tolist() == [1] * 4


def test_a_brain_too_small_for_a_corruption_stays_as_it_is(small):
    config = small("corrupt={tasks: [blend, sink, source, intensity], chance: 1.0, role: class}")
    image, brain = brains(2)
    brain[1] = 0
    brain[1, :, 10:13, 10:12] = 1
    batch = batch_of(config, image * brain, brain)
    assert batch.label.tolist() == [1, 0]
    assert torch.equal(batch.image[1], (image * brain)[1])


def test_corruption_of_an_item_follows_from_its_generator_alone(small):
    config = small("corrupt={tasks: [blend, sink, intensity], chance: 0.8, role: class}")
    image, brain = brains()
    whole = batch_of(config, image, brain)
    for i in range(4):
        one = (image[i : i + 1], brain[i : i + 1], torch.tensor([-1]))
        alone = corrupt_items(*one, config.corrupt, config.corrupt.tasks, [generator_for(0, i)])
        assert torch.equal(alone.image[0], whole.image[i])


def test_network_is_told_of_the_corrupted_slice(small, trainer_of, monkeypatch):
    model = f"model={{name: beside, backbone: {BACKBONE}}}"
    config = small(model, "corrupt={tasks: [intensity], chance: 1.0, role: condition}", "space.size=24")
    trainer, seen = trainer_of(config), {}
    forward = trainer.network.forward

    def spy(x_t, labels, image=None):
        seen["image"] = image
        return forward(x_t, labels, image=image)

    monkeypatch.setattr(trainer.network, "forward", spy)
    image, brain = brains()
    trainer.loss(image, brain, torch.arange(4))
    assert (seen["image"] != image).flatten(1).any(1).all()
    assert 0 <= float(seen["image"].min()) <= float(seen["image"].max()) <= 1


@pytest.mark.parametrize("label", [-1, 1])
def test_labelled_network_is_told_the_class_or_that_it_is_unknown(small, trainer_of, monkeypatch, label):
    model = f"model={{name: labelled, drop: 0.0, backbone: {BACKBONE}}}"
    trainer, seen = trainer_of(small(model, "space.size=24")), {}
    forward = trainer.network.forward
    monkeypatch.setattr(
        trainer.network, "forward", lambda x_t, labels, y=None: seen.update(y=y) or forward(x_t, labels, y=y)
    )
    image, brain = brains()
    trainer.loss(image, brain, torch.arange(4), torch.full((4,), label))
    assert seen["y"].tolist() == [trainer.ema_network.null if label < 0 else label] * 4


def test_no_steps_put_the_weights_of_another_run_into_a_pipeline(small):
    first = train(small())
    again = train(
        small(
            f"train.network={first}", "train.steps=0", "name=other", "sampler={name: oneshot, levels: [10]}"
        )
    )
    one, two = (AnomalyPipeline.from_pretrained(f) for f in (first, again))
    assert all(
        torch.equal(a, b) for a, b in zip(one.network.parameters(), two.network.parameters(), strict=True)
    )
    assert two.config.sampler["name"] == "oneshot"


def test_weights_of_another_architecture_are_refused(small):
    first = train(small())
    with pytest.raises(CheckpointError, match="expected the weights of this network, found others"):
        train(small("model.channels=[16]", f"train.network={first}", "name=other"))
    with pytest.raises(CheckpointError, match="expected the folder of a pipeline or a network"):
        train(small(f"train.network={first.parent / 'samples'}", "name=third"))


def test_networks_beside_are_checked_before_training(small, tmp_path):
    with pytest.raises(ModelError, match="expected the folder of a network"):
        train(small(f"networks.classifier={tmp_path}"))
    two = MODELS.build("classifier", in_channels=2, channels=[8], layers=1, attention=False)
    two.save_pretrained(tmp_path / "two")
    with pytest.raises(ConfigError, match=r"networks\.classifier: expected 1 channel\(s\), found 2"):
        train(small(f"networks.classifier={tmp_path / 'two'}"))


def view_of(trainer):
    """A run that has what the protocol of a network's run promises, and nothing else."""
    names = {name for base in (RunState, NetworkRun) for name in base.__annotations__}
    names |= {"device", "refresh_ema_network"}
    return SimpleNamespace(**{name: getattr(trainer, name) for name in names})


@pytest.mark.parametrize("task", [[], CLASSIFY, AUTOENCODE], ids=["denoise", "classify", "autoencode"])
def test_an_objective_asks_a_run_for_no_more_than_its_protocol_says(small, trainer_of, tmp_path, task):
    trainer = trainer_of(small("space.size=24", *task))
    data, objective = build_data(trainer.config, "val"), trainer.objective
    trainer.inspect(data)
    run = view_of(trainer)
    image, brain = brains()
    batch = batch_of(trainer.config, image, brain)
    assert objective.loss(run, batch, [generator_for(i) for i in range(4)]).shape == (4,)
    validation_batch = objective.draw_validation_batch(run, data)
    report = objective.validate(run, validation_batch, tmp_path / "picture.png")
    assert report == objective.validate(trainer, validation_batch, tmp_path / "picture.png")
    assert objective.export(run, data).is_dir()


def test_batch_without_corruption_is_what_came():
    image, brain = brains()
    batch = corrupt_items(image, brain, torch.tensor([0, 1, -1, 0]), CorruptConfig(), (), [])
    assert isinstance(batch, Batch)
    assert batch.original is None
    assert torch.equal(batch.image, image)
    assert batch.label.tolist() == [0, 1, -1, 0]


RESTORE = "corrupt={tasks: [intensity], chance: 1.0, role: restore, weight: 4.0}"


def example_of(config, t, seed=0):
    """Make an example of corrupted brains; return it with its batch and schedule."""
    image, brain = brains()
    batch, schedule = batch_of(config, image, brain, seed=seed), Schedule.linear()
    generators = [generator_for(1, i) for i in range(len(image))]
    levels = torch.full((len(image),), t)
    return (
        make_batch_example(OneShot(), batch, levels, GaussianNoise(), schedule, generators),
        batch,
        schedule,
    )


@pytest.mark.parametrize("t", [1, 50, 1000])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_network_that_answers_as_asked_restores_what_was_damaged(small, t, prediction):
    example, batch, schedule = example_of(small(RESTORE), t)
    levels = torch.full((len(example.x),), t)
    target = training_target(example.x.double(), example.z.double(), levels, schedule, prediction)
    denoiser = NetworkDenoiser(lambda x_t, labels: target.float(), schedule, prediction)
    restored = denoiser.without_clamp()(example.x_t, levels)
    assert (batch.damaged_image != batch.image).any()
    torch.testing.assert_close(restored, to_model(batch.image), atol=2e-3, rtol=0)


def test_noise_is_laid_over_the_damaged_image(small):
    example, batch, schedule = example_of(small(RESTORE), 50)
    generators = [generator_for(1, i) for i in range(len(example.x))]
    z = GaussianNoise()(example.x, generator=generators)
    noised = schedule.add_noise(to_model(batch.damaged_image), z, torch.full((len(z),), 50))
    torch.testing.assert_close(example.x_t, noised)
    damaged = (batch.damaged_image != batch.image).any(1, keepdim=True)
    assert torch.equal(example.z[~damaged.expand_as(z)], z[~damaged.expand_as(z)])
    assert set(example.region.unique().tolist()) == {1.0, 4.0}


def test_nothing_is_damaged_without_tasks(small):
    config = small("corrupt={tasks: [], role: restore}")
    example, batch, _ = example_of(config, 50)
    assert batch.damaged_image is None
    assert torch.equal(example.x, to_model(batch.image))


def test_a_sampler_with_examples_of_its_own_cannot_restore(small):
    sampler = "sampler={name: patched, inner: {name: oneshot, levels: [10]}}"
    with pytest.raises(ConfigError, match=r"corrupt\.role: sampler 'patched' makes examples of its own"):
        train(small(RESTORE, sampler))


def test_training_restores(small):
    folder = train(small(RESTORE))
    assert log_of(folder.parent)[-1]["val_mae"] > 0
