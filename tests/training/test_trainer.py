"""One optimiser step does what the recipe says, however the batch is cut."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file

from diffad.config import ConfigError
from diffad.training import parts
from diffad.training.checkpoint import CheckpointError
from diffad.training.journal import make_accelerator
from diffad.training.loss import learning_rate
from diffad.training.parts import build_data
from diffad.training.stream import Stream, make_loader
from diffad.training.trainer import Trainer


@pytest.fixture
def trainer_of():
    """Make a trainer; accelerate's state is cleared between tests."""
    from accelerate.state import AcceleratorState

    yield lambda config: Trainer(config, make_accelerator(config))
    AcceleratorState._reset_state(True)


def run(trainer, steps):
    """Take some steps; return their losses."""
    train = trainer.config.train
    stream = Stream(build_data(trainer.config, "train"), trainer.config.seed)
    span = (trainer.step, trainer.step + steps)
    batches = iter(make_loader(stream, span, train.batch_size, train.accumulate, 0, 1, train.workers))
    return [trainer.update([next(batches) for _ in range(train.accumulate)]) for _ in range(steps)]


def weights(module):
    return torch.cat([p.detach().float().flatten() for p in module.parameters()])


def gradient(trainer, monkeypatch):
    """The loss and gradient of the next step; Adam would blow up the rounding of gradients near zero."""
    seen, step = [], trainer.optimizer.step

    def spy():
        seen.append(torch.cat([p.grad.flatten().clone() for p in trainer.network.parameters()]))
        step()

    monkeypatch.setattr(trainer.optimizer, "step", spy)
    return run(trainer, 1)[0], seen[0]


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulated_parts_equal_the_undivided_batch_to_rounding(small, trainer_of, monkeypatch, parts):
    loss, whole = gradient(trainer_of(small()), monkeypatch)
    same_loss, divided = gradient(trainer_of(small(f"train.accumulate={parts}")), monkeypatch)
    assert same_loss == pytest.approx(loss, rel=1e-6)
    torch.testing.assert_close(divided, whole, rtol=1e-4, atol=1e-6)


def test_loader_process_changes_nothing(small, trainer_of):
    here, there = trainer_of(small()), trainer_of(small("train.workers=1"))
    assert run(here, 2) == run(there, 2)
    assert torch.equal(weights(here.network), weights(there.network))


def test_same_seed_gives_the_same_run_and_another_another(small, trainer_of):
    first, again, other = (run(trainer_of(small(f"seed={s}")), 2) for s in (0, 0, 1))
    assert first == again != other


def test_average_follows_the_decay_of_the_paper(small, trainer_of):
    trainer = trainer_of(small("train.ema_decay=0.7"))
    average = weights(trainer.network)
    for step in range(1, 4):
        run(trainer, 1)
        # the first update copies; later ones decay by 1 - k^-0.75, which grows to its cap
        decay = 0.0 if step == 1 else min(1 - (1 + step - 1) ** -0.75, 0.7)
        average = decay * average + (1 - decay) * weights(trainer.network)
        torch.testing.assert_close(weights(trainer.refresh_ema_network()), average, rtol=0, atol=1e-6)


def test_learning_rate_of_each_step_is_the_schedules(small, trainer_of):
    trainer = trainer_of(small("train.warmup=2", "train.min_lr=1e-5"))
    for step in range(4):
        run(trainer, 1)
        expected = learning_rate(step, 1e-3, 2, trainer.config.train.steps, 1e-5)
        assert trainer.optimizer.param_groups[0]["lr"] == expected


def test_gradient_is_clipped_unless_the_norm_is_none(small, trainer_of, monkeypatch):
    clipped, free = (
        gradient(trainer_of(small(f"train.clip_norm={norm}")), monkeypatch)[1].norm()
        for norm in ("1e-3", "null")
    )
    assert float(clipped) == pytest.approx(1e-3, rel=1e-2)
    assert float(free) > 1e-2


def test_bf16_autocast_trains_on_the_cpu_and_keeps_weights_in_float32(small, trainer_of):
    losses = run(trainer_of(small()), 3)
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(True)
    trainer = trainer_of(small("train.mixed_precision=bf16"))
    narrow = run(trainer, 3)
    assert narrow == pytest.approx(losses, rel=0.05)
    assert narrow != losses
    assert {p.dtype for p in trainer.network.parameters()} == {torch.float32}


def test_channels_last_changes_the_layout_and_not_the_loss(small, trainer_of):
    plain, last = trainer_of(small()), trainer_of(small("train.channels_last=true"))
    kernels = [p for p in last.network.parameters() if p.ndim == 4 and min(p.shape[1:]) > 1]
    assert kernels
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
    assert run(last, 3) == pytest.approx(run(plain, 3), rel=1e-4)


def test_dropout_is_the_same_in_a_run_that_starts_at_that_step(small, trainer_of):
    config = small("model.dropout=0.5", "train.lr=1e-12")
    straight = run(trainer_of(config), 3)
    late = trainer_of(config)
    late.step = 2
    torch.rand(5)
    assert run(late, 1)[0] == pytest.approx(straight[2], rel=1e-5)
    assert run(trainer_of(small("train.lr=1e-12")), 3)[2] != pytest.approx(straight[2], rel=1e-3)


def test_window_of_the_space_is_all_that_is_trained_on(small, trainer_of, monkeypatch):
    trainer = trainer_of(small("space.window=[8, 6]"))
    seen = []
    monkeypatch.setattr(trainer, "network", lambda x, labels: seen.append(x.shape[2:]) or torch.zeros_like(x))
    trainer.loss(torch.rand(2, 1, 16, 16), torch.ones(2, 1, 16, 16), torch.arange(2))
    assert seen == [(8, 6)]


def test_loss_that_is_not_finite_ends_the_run(small, trainer_of):
    trainer = trainer_of(small())
    with torch.no_grad():
        next(trainer.network.parameters()).fill_(math.nan)
    with pytest.raises(ValueError, match=r"expected a finite loss, got nan at step 1; a lower train\.lr"):
        run(trainer, 1)


def test_slices_of_other_channels_than_the_network_raise(small, trainer_of):
    trainer = trainer_of(small("model.in_channels=2"))
    with pytest.raises(ValueError, match=r"UNet2D expected \(B, C, I, J\) with C = 2, got \(4, 1, 16, 16\)"):
        run(trainer, 1)


@pytest.mark.parametrize("kind", ["noise", "model"])
def test_part_that_cannot_be_built_names_its_key(small, trainer_of, kind):
    with pytest.raises(ConfigError, match=f"^config key {kind}: unknown option .*'nonsense'"):
        trainer_of(small(f"{kind}.nonsense=1"))


def test_buffers_of_the_network_reach_the_average(small, trainer_of, monkeypatch):
    real = parts.build_network

    def with_buffer(config):
        network = real(config)
        network.register_buffer("seen", torch.zeros(1))
        return network

    monkeypatch.setattr("diffad.training.trainer.build_network", with_buffer)
    trainer = trainer_of(small())
    trainer.unwrapped.seen.fill_(5)
    assert trainer.refresh_ema_network().seen.item() == 5


def test_gradient_scaler_of_fp16_is_saved_and_restored_and_may_meet_infinity(small, trainer_of, monkeypatch):
    class Scaler:
        scale = 2.0

        def state_dict(self):
            return {"scale": self.scale}

        def load_state_dict(self, state):
            self.scale = state["scale"]

    trainer, again = trainer_of(small("train.clip_norm=null")), trainer_of(small("train.clip_norm=null"))
    for one in (trainer, again):
        monkeypatch.setattr(one.accelerator, "scaler", Scaler())
    trainer.accelerator.scaler.scale = 64.0
    trainer.save()
    assert again.resume()
    assert again.accelerator.scaler.scale == 64.0
    monkeypatch.setattr(again, "loss", lambda *batch: torch.tensor(math.inf))
    monkeypatch.setattr(again.accelerator, "backward", lambda loss: None)
    assert run(again, 1) == [math.inf]


def test_weights_of_other_shapes_under_the_same_config_raise(small, trainer_of):
    trainer = trainer_of(small())
    trainer.save()
    path = trainer.folder / "checkpoints" / "step-0000000" / "model.safetensors"
    save_file({"unet.conv_in.bias": torch.zeros(3)}, path)
    info = json.loads((path.parent / "info.json").read_text())
    info.pop("digests")  # as in checkpoints of older versions; else the other weights show by their checksum
    (path.parent / "info.json").write_text(json.dumps(info))
    with pytest.raises(
        CheckpointError, match=r"expected weights of this network, found others: .*size mismatch"
    ):
        trainer_of(small()).resume()


def test_processes_that_see_other_folders_raise(small, trainer_of, monkeypatch):
    trainer = trainer_of(small())
    monkeypatch.setattr(trainer.accelerator, "gather", lambda mine: torch.tensor([0, 40]))
    with pytest.raises(
        CheckpointError, match=r"expected one folder that all processes share, found steps \[0, 40\]"
    ):
        trainer.resume()


def test_processes_learn_that_the_main_one_could_not_save(small, trainer_of, monkeypatch):
    trainer = trainer_of(small())
    monkeypatch.setattr(type(trainer.accelerator), "is_main_process", property(lambda self: False))
    monkeypatch.setattr(trainer.accelerator, "reduce", lambda failed, how: failed + 1)
    with pytest.raises(CheckpointError, match="the main process could not write its checkpoint"):
        trainer.save()
