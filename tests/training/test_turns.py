"""Parts of one network that take turns: one loop, one optimiser, and the same run when it is resumed."""

import json
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from diffad import AnomalyPipeline
from diffad.config import ConfigError, load
from diffad.data.items import DataError
from diffad.training.run import train
from diffad.training.turns import moved_alone, trains_in_turns

TOY = "data={name: toy, size: 32, count: 8}"
SMALL = "model={name: fanogan, size: 16, latent: 4, channels: [4, 8], critic_steps: 2, gan_share: 0.5}"
QUICK = [TOY, SMALL, "space.size=32", "train.device=cpu", "train.batch_size=4", "train.validate_items=4"]
QUICK += ["train.validate_every=4", "train.checkpoint_every=1", "train.keep_checkpoints=20"]


def train_quickly(folder, *changes):
    return train(load("fanogan", [*QUICK, "train.steps=8", f"output={folder}", *changes]))


def read_weights(folder, step, kind="model"):
    return load_file(folder / f"fanogan/checkpoints/step-{step:07d}/{kind}.safetensors")


def find_moved(folder, step):
    """Return the children whose learned weights a step moved."""
    before, after = read_weights(folder, step - 1), read_weights(folder, step)
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    names = (n for n in before if not n.endswith(statistics) and not torch.equal(before[n], after[n]))
    return {name.partition(".")[0] for name in names}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    train_quickly(folder)
    return folder


def test_each_step_moves_the_part_whose_turn_it_is(whole):
    moved = [find_moved(whole, step) for step in range(2, 9)]
    assert moved == [{"critic"}, {"generator"}, {"critic"}, *[{"encoder"}] * 4]


@pytest.mark.parametrize("last", [2, 5])
def test_a_resumed_run_is_the_same_run(whole, tmp_path, last):
    """Stopped between the critic's steps, and between the encoder's."""
    shutil.copytree(whole / "fanogan", tmp_path / "fanogan", ignore=shutil.ignore_patterns("pipeline"))
    for step in range(last + 1, 9):
        shutil.rmtree(tmp_path / f"fanogan/checkpoints/step-{step:07d}")
    train_quickly(tmp_path)
    for kind in ("model", "ema", "optimizer"):
        ours, theirs = read_weights(tmp_path, 8, kind), read_weights(whole, 8, kind)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_losses_of_all_turns_are_logged_and_finite(whole):
    lines = [json.loads(line) for line in (whole / "fanogan/log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert all(abs(line["loss"]) < 1e4 for line in lines)
    assert "val_loss" in lines[-1]


def test_weights_that_were_frozen_before_stay_so():
    network = nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.Linear(1, 1), "ab": nn.Linear(1, 1)})
    network["b"].bias.requires_grad_(False)
    with moved_alone(network, "a"):
        assert [n for n, p in network.named_parameters() if p.requires_grad] == ["a.weight", "a.bias"]
    assert [n for n, p in network.named_parameters() if not p.requires_grad] == ["b.bias"]
    with moved_alone(network, None):
        assert network["b"].weight.requires_grad


def test_several_processes_are_told_of_turns_alone():
    assert trains_in_turns(load("fanogan"))
    assert not trains_in_turns(load("ae"))
    assert not trains_in_turns(load("smoke"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("train.betas=[0.5, 1.0]", "train.betas: expected two decays in"),
        ("model.map=heat", "expected a map of residual or score, got 'heat'"),
        ("model.gan_share=1.0", r"gan_share in \[0, 1\)"),
        ("model.size=17", "a size that is a multiple of 2, got 17"),
        ("model.channels=[]", "channels of at least 1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(tmp_path, change, words):
    with pytest.raises(ConfigError, match=words) as caught:
        train_quickly(tmp_path, change)
    assert "\n" not in str(caught.value)


OTHERS = {
    "cyclegan_ad": "model={name: cyclegan_ad, size: 32, width: 2, blocks: 1, replay: 3}",
    "ganomaly": "model={name: ganomaly, size: 16, latent: 4, channels: [4, 8]}",
    "squid": "model={name: squid, size: 32, channels: [4, 8, 8, 16], slots: 10, critic_steps: 1}",
}
DAMAGED = "corrupt={tasks: [intensity], chance: 0.5, role: restore}"


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_what_others_remember_is_resumed_too(tmp_path, name):
    """Images to be shown again, queues of features, and the logits of twins are part of a checkpoint."""
    recipe = [*QUICK, OTHERS[name], "train.steps=6", "train.validate_every=6"]
    recipe += [DAMAGED] if name == "cyclegan_ad" else []
    for folder in ("whole", "broken"):
        train(load(name, [*recipe, f"output={tmp_path / folder}"]))
    for step in (4, 5, 6):
        shutil.rmtree(tmp_path / f"broken/{name}/checkpoints/step-{step:07d}")
    train(load(name, [*recipe, f"output={tmp_path / 'broken'}"]))
    for kind in ("model", "ema", "optimizer"):
        place = f"{name}/checkpoints/step-0000006/{kind}.safetensors"
        ours, theirs = load_file(tmp_path / "broken" / place), load_file(tmp_path / "whole" / place)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_labels_are_asked_for_where_nothing_is_laid_in(tmp_path):
    recipe = [*QUICK, OTHERS["cyclegan_ad"], f"output={tmp_path}", "train.steps=2"]
    with pytest.raises(DataError, match="expected a label for each scan, found none for 8 of 8"):
        train(load("cyclegan_ad", recipe))
    pipe = AnomalyPipeline.from_pretrained(train(load("cyclegan_ad", [*recipe, DAMAGED])))
    assert pipe.supervision == "normal+synthetic"


def test_labelled_slices_are_what_was_learned_from(tmp_path):
    values = torch.rand(40, 40, generator=torch.Generator().manual_seed(0))
    for split in ("train", "val"):
        for k, kind in enumerate(("healthy", "diseased") * 2):
            folder = tmp_path / "data" / split / kind
            folder.mkdir(parents=True, exist_ok=True)
            pixels = ((0.3 + 0.1 * k + 0.05 * (split == "val") + 0.2 * values) * 255).byte().numpy()
            Image.fromarray(pixels).save(folder / f"sub-{split}{k}.png")
    data = f"data={{name: images, root: {tmp_path / 'data'}, labels: folder}}"
    recipe = [*QUICK, OTHERS["cyclegan_ad"], data, f"output={tmp_path}", "train.steps=2"]
    pipe = AnomalyPipeline.from_pretrained(train(load("cyclegan_ad", recipe)))
    assert pipe.supervision == "image-level"
    shutil.rmtree(tmp_path / "data/train/diseased")
    with pytest.raises(DataError, match=r"expected healthy and diseased scans, found only healthy \(2\)"):
        train(load("cyclegan_ad", [*recipe, "name=again"]))
