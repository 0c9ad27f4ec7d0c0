"""Real processes: killed, interrupted, and several at once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from diffad.training import checkpoint
from diffad.training.run import run_training_arguments
from tests.training.conftest import SMALL

ROOT = Path(__file__).resolve().parents[2]
LONG = ["train.steps=60", "train.checkpoint_every=5", "train.validate_every=60"]
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


@pytest.fixture
def start():
    """Begin a run in processes of its own; what still runs after the test is killed."""
    begun = []
    yield lambda *args, **options: begun.append(begin(*args, **options)) or begun[-1]
    for process in begun:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def begin(folder, *more, launcher=(sys.executable,)):
    command = [*launcher, "-m", "diffad.training", "smoke", *SMALL, f"output={folder}", *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **pipes)


def steps_of(folder):
    log = folder / "smoke" / "log.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def wait_for_step(process, folder, step):
    until = time.monotonic() + 120
    while len(steps_of(folder)) < step:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "the run did not get on"
        time.sleep(0.01)


def curve(folder):
    return [(line["step"], line["loss"], line["lr"]) for line in steps_of(folder)]


def tensors(folder, step):
    path = folder / "smoke" / "checkpoints" / f"step-{step:07d}"
    parts = {part: load_file(path / f"{part}.safetensors") for part in checkpoint.PARTS}
    return {f"{part}.{k}": v for part, values in parts.items() for k, v in values.items()}


def finish(folder, *more):
    assert run_training_arguments(["smoke", *SMALL, f"output={folder}", *more]) == 0


def test_killed_run_resumes_to_the_exact_loss_and_weights_of_an_uninterrupted_one(start, tmp_path):
    process = start(tmp_path / "killed", *LONG)
    wait_for_step(process, tmp_path / "killed", 12)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 12 <= len(steps_of(tmp_path / "killed")) < 60
    finish(tmp_path / "killed", *LONG)
    finish(tmp_path / "whole", *LONG)
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")
    assert len(curve(tmp_path / "whole")) == 60
    ours, theirs = (tensors(tmp_path / name, 60) for name in ("killed", "whole"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    exported = [tmp_path / name / "smoke/pipeline/network" for name in ("killed", "whole")]
    a, b = (load_file(folder / "diffusion_pytorch_model.safetensors") for folder in exported)
    assert all(torch.equal(value, b[name]) for name, value in a.items())


def test_ctrl_c_saves_says_so_and_exits_with_130(start, tmp_path):
    process = start(tmp_path, *LONG, "train.checkpoint_every=60")
    wait_for_step(process, tmp_path, 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    done = len(steps_of(tmp_path))
    assert process.returncode == 130
    assert "finishing this step and saving" in err
    assert f"stopped after step {done}, which is saved" in err
    assert "Traceback" not in err
    assert "pipeline" not in out
    assert (tmp_path / "smoke" / "checkpoints" / f"step-{done:07d}" / "info.json").is_file()


@pytest.mark.slow
def test_two_processes_train_on_the_loss_curve_of_one(start, tmp_path):
    process = start(tmp_path / "two", launcher=TWO)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert out.count('"pipeline"') == 1
    finish(tmp_path / "one")
    two, one = curve(tmp_path / "two"), curve(tmp_path / "one")
    assert [line[0] for line in two] == [line[0] for line in one] == list(range(1, 9))
    assert [line[1] for line in two] == pytest.approx([line[1] for line in one], rel=1e-4)
    assert [line[2] for line in two] == [line[2] for line in one]


def children(process):
    tasks = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in tasks.read_text().split()]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_processes_stop_together_though_one_alone_was_asked(start, tmp_path, number):
    process = start(tmp_path, *LONG, "train.checkpoint_every=60", "train.steps=2000", launcher=TWO)
    wait_for_step(process, tmp_path, 2)
    os.kill(children(process)[-1], number)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    done = len(steps_of(tmp_path))
    assert 2 <= done < 2000
    assert f"stopped after step {done}, which is saved" in err
    assert (tmp_path / "smoke" / "checkpoints" / f"step-{done:07d}" / "info.json").is_file()


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_reaches_all_processes_twice_and_still_saves(start, tmp_path):
    process = start(tmp_path, *LONG, "train.checkpoint_every=60", "train.steps=2000", launcher=TWO)
    wait_for_step(process, tmp_path, 2)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    done = len(steps_of(tmp_path))
    assert (tmp_path / "smoke" / "checkpoints" / f"step-{done:07d}" / "info.json").is_file()


@pytest.mark.slow
def test_failed_checkpoint_ends_all_processes_with_one_message_each(start, tmp_path):
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "checkpoints").touch()
    process = start(tmp_path, launcher=TWO)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert len(steps_of(tmp_path)) == 2
    assert "step-0000002: cannot be written" in err
    assert "error: the main process could not write its checkpoint" in err
    assert "Connection closed by peer" not in err


@pytest.mark.slow
def test_accelerate_launch_trains_and_resumes(start, tmp_path):
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--cpu"]
    for steps in (2, 4):
        process = start(tmp_path, f"train.steps={steps}", launcher=launcher)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    assert [line[0] for line in curve(tmp_path)] == [1, 2, 3, 4]
