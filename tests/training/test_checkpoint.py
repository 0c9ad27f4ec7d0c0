"""A checkpoint is whole or not there, and nothing but a whole and fitting one is resumed."""

import json
import re
import warnings

import pytest
import torch
from safetensors import SafetensorError

from diffad.config.yaml import override
from diffad.training import checkpoint
from diffad.training.checkpoint import (
    Checkpoint,
    CheckpointError,
    list_checkpoints,
    load_newest,
    pack,
    save_checkpoint,
    unpack,
)

CONFIG = {
    "model": {"name": "unet2d", "channels": [8]},
    "noise": {"name": "simplex"},
    "schedule": {"num_train_timesteps": 100},
    "space": {"size": 16},
    "train": {"lr": 1e-3},
}


def state(step, config=CONFIG):
    tensors = {"w": torch.full((3,), float(step)), "flat": torch.ones(4, 4).T[::2]}
    return Checkpoint(
        tensors, tensors, {"0.step": torch.tensor(float(step))}, {"step": step, "config": config}
    )


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_what_is_saved_comes_back(tmp_path):
    path = save_checkpoint(tmp_path, state(7), keep=2)
    assert path.name == "step-0000007"
    assert names(path) == ["ema.safetensors", "info.json", "model.safetensors", "optimizer.safetensors"]
    found = load_newest(tmp_path, CONFIG)
    assert found.info["step"] == 7
    assert found.optimizer["0.step"].shape == ()
    assert all(torch.equal(found.model[k], v) for k, v in state(7).model.items())


def test_folder_without_checkpoints_resumes_nothing(tmp_path):
    assert load_newest(tmp_path / "absent", CONFIG) is None


def test_only_the_newest_are_kept_by_number_not_by_name(tmp_path):
    for step in (9_999_998, 9_999_999, 10_000_000):
        save_checkpoint(tmp_path, state(step), keep=2)
    (tmp_path / "step-²").mkdir()
    assert [p.name for p in list_checkpoints(tmp_path)] == ["step-9999999", "step-10000000"]


def test_same_step_can_be_written_again(tmp_path):
    for value in (1, 2):
        again = state(4)
        again.model["w"].fill_(value)
        save_checkpoint(tmp_path, again, keep=1)
    assert names(tmp_path) == ["step-0000004"]
    assert load_newest(tmp_path, CONFIG).model["w"].tolist() == [2, 2, 2]


def test_checkpoint_keeps_the_names_that_older_runs_wrote(tmp_path):
    path = save_checkpoint(tmp_path, state(3), keep=1)
    names_on_disk = {"model.safetensors", "ema.safetensors", "optimizer.safetensors", "info.json"}
    assert {p.name for p in path.iterdir()} == names_on_disk
    assert path.name == "step-0000003"
    optimizer = {"state": {0: {"step": torch.tensor(2.0), "exp_avg": torch.ones(2)}}, "param_groups": []}
    assert set(checkpoint.pack(optimizer)) == {"0.step", "0.exp_avg"}


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), SafetensorError("I/O error: No space left on device")]
)
@pytest.mark.parametrize("part", [0, 2])
def test_full_disk_leaves_the_earlier_checkpoint_and_no_scraps(tmp_path, monkeypatch, error, part):
    save_checkpoint(tmp_path, state(1), keep=1)
    calls, real = [], checkpoint.save_file

    def full(tensors, path):
        calls.append(path)
        if len(calls) > part:
            raise error
        real(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(CheckpointError, match=r"step-0000002: cannot be written .*No space left.*are kept"):
        save_checkpoint(tmp_path, state(2), keep=1)
    assert names(tmp_path) == ["step-0000001"]
    assert load_newest(tmp_path, CONFIG).info["step"] == 1


def test_stop_while_writing_leaves_no_scraps(tmp_path, monkeypatch):
    def stop(tensors, path):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_file", stop)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, state(2), keep=1)
    assert names(tmp_path) == []


def test_scraps_of_a_killed_run_are_swept_up(tmp_path):
    (tmp_path / ".step-0000003.partial").mkdir()
    assert load_newest(tmp_path, CONFIG) is None
    save_checkpoint(tmp_path, state(5), keep=1)
    assert names(tmp_path) == ["step-0000005"]


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-5])


def empty(path):
    path.write_bytes(b"")


DAMAGE = [
    ("model.safetensors", cut_short),
    ("optimizer.safetensors", empty),
    ("ema.safetensors", lambda path: path.unlink()),
    ("info.json", lambda path: path.unlink()),
    ("info.json", empty),
    ("info.json", lambda path: path.write_text("[1]")),
    ("info.json", lambda path: path.write_text('{"step": 2}')),
    ("info.json", lambda path: path.write_bytes(b"\xff\xfe")),
]


@pytest.mark.parametrize(("name", "harm"), DAMAGE)
def test_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path, name, harm):
    save_checkpoint(tmp_path, state(1), keep=2)
    harm(save_checkpoint(tmp_path, state(2), keep=2) / name)
    with pytest.warns(UserWarning, match="step-0000002: expected a whole checkpoint, found a damaged one"):
        assert load_newest(tmp_path, CONFIG).info["step"] == 1


def test_only_damaged_checkpoints_raise_rather_than_begin_anew(tmp_path):
    empty(save_checkpoint(tmp_path, state(2), keep=2) / "model.safetensors")
    with (
        pytest.warns(UserWarning, match="damaged"),
        pytest.raises(CheckpointError, match=f"{re.escape(str(tmp_path))}: expected a whole checkpoint"),
    ):
        load_newest(tmp_path, CONFIG)


def test_damaged_later_checkpoint_does_not_push_out_a_good_one(tmp_path):
    empty(save_checkpoint(tmp_path, state(6), keep=2) / "model.safetensors")
    save_checkpoint(tmp_path, state(3), keep=1)
    assert names(tmp_path) == ["step-0000003"]


@pytest.mark.parametrize("key", ["model", "noise", "schedule", "space"])
def test_other_network_noise_schedule_or_space_is_refused(tmp_path, key):
    save_checkpoint(tmp_path, state(1), keep=1)
    other = {**CONFIG, key: {**CONFIG[key], next(iter(CONFIG[key])): "other"}}
    with pytest.raises(CheckpointError, match=rf"expected a checkpoint of {key}.* = .*'other'.* found"):
        load_newest(tmp_path, other)


def test_other_recipe_is_welcome_and_so_is_a_newer_option(tmp_path):
    save_checkpoint(tmp_path, state(1), keep=1)
    newer = {**CONFIG, "train": {"lr": 1.0}, "space": {"size": 16, "invented": "later"}}
    assert load_newest(tmp_path, newer).info["step"] == 1


FULL = {
    **CONFIG,
    "name": "a",
    "output": "x",
    "task": "denoise",
    "data": {"name": "toy", "size": 32},
    "seed": 0,
    "train": {"lr": 1e-3, "batch_size": 4, "levels": [1, 50], "allow_changes": False},
    "augment": {"flip": 0.0},
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.size", 24),
        ("data.count", 3),
        ("data.name", "images"),
        ("seed", 1),
        ("task", "classify"),
        ("train.batch_size", 8),
        ("train.levels", [1, 20]),
        ("augment.flip", 0.5),
        ("model.layers", 2),
    ],
)
def test_what_breaks_the_loss_curve_is_refused_unless_asked_for(tmp_path, capsys, key, value):
    save_checkpoint(tmp_path, state(1, FULL), keep=1)
    other = override(FULL, [f"{key}={json.dumps(value)}"])
    name = key.removesuffix(".name")  # another part is another whole
    with pytest.raises(CheckpointError, match=f"expected a checkpoint of {name} = .*, found .*allow_changes"):
        load_newest(tmp_path, other)
    assert load_newest(tmp_path, override(other, ["train.allow_changes=true"])).info["step"] == 1
    assert f"step-0000001: goes on with another {name}: " in capsys.readouterr().err


def test_every_other_change_is_said_by_name(tmp_path, capsys):
    save_checkpoint(tmp_path, state(1, FULL), keep=1)
    other = override(FULL, ["train.lr=0.1", "output=y", "name=b"])
    load_newest(tmp_path, other)
    path = tmp_path / "step-0000001"
    assert capsys.readouterr().err == f"{path}: goes on with another train.lr: 0.001 -> 0.1\n"
    load_newest(tmp_path, other, announce=False)
    load_newest(tmp_path, FULL)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "name", ["model.safetensors", "ema.safetensors", "optimizer.safetensors", "info.json"]
)
def test_one_flipped_bit_anywhere_is_seen_and_the_one_before_is_used(tmp_path, capsys, name):
    save_checkpoint(tmp_path, state(1), keep=2)
    path = save_checkpoint(tmp_path, state(2), keep=2) / name
    content = path.read_bytes()
    for at in [*range(0, len(content), 37), len(content) - 1]:
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            state_found = load_newest(tmp_path, CONFIG)
        if caught:  # else white space, or the word for the checksums
            assert "step-0000002: expected a whole checkpoint" in str(caught[0].message)
            assert state_found.info["step"] == 1
            assert "goes on from step-0000001, as step-0000002 is damaged" in capsys.readouterr().err
        else:
            assert name == "info.json"
            assert (state_found.info["step"], state_found.info["config"]) == (2, CONFIG)


def test_checkpoint_of_an_older_version_has_no_checksums_and_is_taken(tmp_path):
    path = save_checkpoint(tmp_path, state(3), keep=1) / "info.json"
    info = json.loads(path.read_text())
    info.pop("digests")
    path.write_text(json.dumps(info))
    assert load_newest(tmp_path, CONFIG).info["step"] == 3


def test_info_is_plain_json(tmp_path):
    path = save_checkpoint(tmp_path, state(1), keep=1)
    assert json.loads((path / "info.json").read_text())["config"] == CONFIG


def test_optimiser_state_survives_packing():
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    before = optimizer.state_dict()
    after = unpack(pack(before), before)
    assert after["param_groups"] == before["param_groups"]
    assert all(torch.equal(after["state"][i][k], v) for i, s in before["state"].items() for k, v in s.items())
