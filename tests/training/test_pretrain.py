"""Pretraining of an encoder, from a config to the folder that training starts from."""

import json
import os
import signal
from dataclasses import replace

import pytest
import torch
import yaml
from safetensors.torch import load_file

from diffad.config import ConfigError
from diffad.models.cells import draw_cells, find_hidden_pixels
from diffad.registry import MODELS
from diffad.training.checkpoint import CheckpointError
from diffad.training.journal import make_accelerator
from diffad.training.pretrain import pretrain
from diffad.training.pretrainer import Pretrainer, reconstruction_loss
from diffad.training.stop import Interrupted
from diffad.training.transfer import load_encoder

MODEL = {
    "name": "conditioned",
    "backbone": {"name": "unet2d", "channels": [8], "layers": 1, "attention": False},
    "encoder": {"depth": 10, "width": 4, "planes": 8},
}


@pytest.fixture
def config(small):
    """Make the config of a run of eight steps on slices of 48 pixels: nine cells of 16."""
    model = f"model={yaml.safe_dump(MODEL, default_flow_style=True, width=1000)}"
    sizes = ["data.size=48", "space.size=48", "train.lr=0.003", "train.ema_decay=0"]
    return lambda *more: small(*more, model, *sizes)


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def curve(folder):
    return [(line["step"], line["loss"], line["lr"]) for line in log_of(folder)]


@pytest.fixture(scope="module")
def loss_case():
    shape = (96, 96)
    generator = torch.Generator().manual_seed(0)
    x, x_hat = torch.rand(2, 2, 1, *shape, generator=generator)
    return x, x_hat, draw_cells(shape, 32, 0.65, [torch.Generator().manual_seed(s) for s in (1, 2)])


def test_loss_is_the_mean_squared_error_of_hidden_cells(loss_case):
    x, x_hat, cells = loss_case
    for i in range(2):
        hidden = find_hidden_pixels(cells, 32, (96, 96))[i, 0]
        assert hidden.sum() == 6 * 32 * 32
        expected = (x_hat - x)[i, 0][hidden].square().mean()
        torch.testing.assert_close(reconstruction_loss(x_hat, x, cells, 32)[i], expected)


def test_predictions_in_visible_cells_leave_the_loss_as_it_is(loss_case):
    x, x_hat, cells = loss_case
    hidden = find_hidden_pixels(cells, 32, (96, 96))
    loss = reconstruction_loss(x_hat, x, cells, 32)
    assert torch.equal(reconstruction_loss(torch.where(hidden, x_hat, x_hat + 9), x, cells, 32), loss)
    assert (reconstruction_loss(torch.where(hidden, x_hat + 9, x_hat), x, cells, 32) > loss).all()


def test_run_leaves_an_encoder_that_a_network_can_start_from(config):
    folder = pretrain(config(), cell=16)
    assert [line["step"] for line in log_of(folder.parent)] == list(range(1, 9))
    assert [line["step"] for line in log_of(folder.parent) if "val_loss" in line] == [4, 8]
    assert folder.parent.parent.name == "smoke"
    described = json.loads((folder / "encoder.json").read_text())
    assert described["made"] == {"cell": 16, "ratio": 0.65, "steps": 8}
    torch.manual_seed(5)
    network = MODELS.build(**MODEL)
    load_encoder(network, folder)
    weights = load_file(folder / "encoder.safetensors")
    assert all(torch.equal(network.encoder.state_dict()[k], v) for k, v in weights.items())


def test_it_learns(config):
    log = log_of(pretrain(config("train.steps=30", "train.validate_every=30"), cell=16).parent)
    first, last = (sum(line["loss"] for line in part) / 5 for part in (log[:5], log[-5:]))
    assert last < 0.6 * first


def test_interrupted_run_goes_on_as_if_it_had_not_been(config, tmp_path, monkeypatch):
    undisturbed = pretrain(config(f"output={tmp_path / 'other'}"), cell=16)
    real = Pretrainer.update

    def update(self, batches):
        loss = real(self, batches)
        if self.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return loss

    with monkeypatch.context() as patch:
        patch.setattr(Pretrainer, "update", update)
        with pytest.raises(Interrupted, match="stopped after step 3, which is saved"):
            pretrain(config(), cell=16)
    resumed = pretrain(config(), cell=16)
    assert curve(resumed.parent) == curve(undisturbed.parent)
    mine, theirs = (load_file(f / "encoder.safetensors") for f in (resumed, undisturbed))
    assert all(torch.equal(mine[k], theirs[k]) for k in theirs)


def test_run_of_other_cells_is_not_resumed(config):
    pretrain(config("train.steps=2"), cell=16)
    with pytest.raises(
        CheckpointError, match=r"expected a checkpoint of cell = 8, ratio = 0.65, found one of cell = 16"
    ):
        pretrain(config("train.steps=4"), cell=8)


@pytest.mark.parametrize(
    ("backbone", "dims", "shape"),
    [("unet2d", 2, (48, 48)), ("unet3d", 3, (32, 32, 16))],
    ids=["slices", "volumes"],
)
def test_steps_with_batch_norm_lower_the_loss(config, backbone, dims, shape):
    options = {**MODEL["encoder"], "norm": "batch", "dims": dims}
    model = {**MODEL, "backbone": {"name": backbone, "channels": [8]}, "encoder": options}
    settings = replace(config(), model=model)
    trainer = Pretrainer(settings, make_accelerator(settings), 16, 0.5)
    x = torch.rand(4, 1, *shape, generator=torch.Generator().manual_seed(0))
    losses = [trainer.update([(x, torch.ones_like(x), torch.arange(4), torch.zeros(4))]) for _ in range(5)]
    assert losses[-1] < losses[0]
    assert trainer.unwrapped.encoder.resnet.layer4[0].bn1.num_batches_tracked == 5


def test_model_without_encoder_raises(small):
    with pytest.raises(
        ConfigError, match="config key model: expected a network with an encoder, got 'unet2d'"
    ):
        pretrain(small())


def test_cells_too_large_for_the_images_raise(config):
    with pytest.raises(ValueError, match=r"leave some cells visible and some hidden, got 0 of 1 visible"):
        pretrain(config("train.steps=2"), cell=64)
