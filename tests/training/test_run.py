"""A run trains, tells, saves, resumes and exports; and every mistake is one clear line."""

import json
import os
import re
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from diffad.config import load
from diffad.io.claims import RUNNING, hold_claim
from diffad.pipeline import AnomalyPipeline
from diffad.registry import MODELS
from diffad.training import checkpoint, export
from diffad.training.run import run_training_arguments, train
from diffad.training.stop import Interrupted
from diffad.training.trainer import Trainer
from tests.helpers.disk import fill_disk

FULL = Path("/dev/full")


def log_of(config_or_folder):
    lines = (config_or_folder / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def curve(folder):
    return [(line["step"], line["loss"], line["lr"]) for line in log_of(folder)]


def tensors(folder, step=8):
    path = folder / "checkpoints" / f"step-{step:07d}"
    return {
        f"{part}.{k}": v
        for part in checkpoint.PARTS
        for k, v in load_file(path / f"{part}.safetensors").items()
    }


def arguments(tmp_path, *more):
    from tests.training.conftest import SMALL

    return ["smoke", *SMALL, f"output={tmp_path / 'runs'}", *more]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("finished")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert run_training_arguments(arguments(folder)) == 0
    torch.set_num_threads(threads)
    return folder / "runs" / "smoke"


def stop_at(monkeypatch, step, act):
    """Call ``act`` once that step is done."""
    real = Trainer.update

    def update(self, batches):
        loss = real(self, batches)
        if self.step == step:
            act()
        return loss

    monkeypatch.setattr(Trainer, "update", update)


def test_run_leaves_log_config_checkpoints_pictures_events_and_a_pipeline(finished):
    assert [line["step"] for line in log_of(finished)] == list(range(1, 9))
    assert {"loss", "lr", "seconds"} <= set(log_of(finished)[0])
    assert [line["step"] for line in log_of(finished) if "val_loss" in line] == [4, 8]
    assert load(finished / "config.yaml") == load("smoke", arguments(finished.parents[1])[1:])
    steps = [p.name for p in sorted((finished / "checkpoints").iterdir())]
    assert steps == ["step-0000006", "step-0000008"]
    pictures = sorted((finished / "samples").iterdir())
    assert [p.name for p in pictures] == ["step-0000004.png", "step-0000008.png"]
    assert np.asarray(Image.open(pictures[0])).std() > 0
    assert list((finished / "tensorboard").glob("**/events.out.tfevents*"))
    assert not list(finished.glob(".*"))


def test_checkpoint_of_a_run_keeps_the_keys_that_older_runs_wrote(finished):
    path = finished / "checkpoints" / "step-0000008"
    info = json.loads((path / "info.json").read_text())
    assert set(info) == {"step", "config", "seconds", "ema_step", "digests"}
    names = {part: set(load_file(path / f"{part}.safetensors")) for part in ("model", "ema", "optimizer")}
    assert names["model"] == names["ema"] == set(MODELS.build(**info["config"]["model"]).state_dict())
    assert {name.split(".")[1] for name in names["optimizer"]} == {"step", "exp_avg", "exp_avg_sq"}


def test_loss_falls(finished):
    losses = [line["loss"] for line in log_of(finished)]
    assert np.mean(losses[-2:]) < np.mean(losses[:2])


def test_tensorboard_holds_the_same_losses(finished):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished / "tensorboard"))
    events.Reload()
    logged = {e.step: e.value for e in events.Scalars("loss")}
    assert logged == pytest.approx({line["step"]: line["loss"] for line in log_of(finished)}, rel=1e-6)
    assert [e.step for e in events.Scalars("val_loss")] == [4, 8]


def test_exported_pipeline_has_the_averaged_weights_and_the_thresholds(finished):
    pipe = AnomalyPipeline.from_pretrained(finished / "pipeline")
    averaged = load_file(finished / "checkpoints" / "step-0000008" / "ema.safetensors")
    assert all(torch.equal(v, averaged[k]) for k, v in pipe.network.state_dict().items())
    assert set(pipe.config.calibration["thresholds"]) == {"0.001", "0.005", "0.01", "0.02", "0.05"}
    assert pipe.config.provenance["steps"] == 8
    image, mask = torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    image[..., 4:12, 4:12] = 0.5
    assert pipe(image, mask).anomaly_map.shape == (1, 1, 16, 16)


def test_interrupted_run_goes_on_exactly_where_it_stopped(finished, tmp_path, monkeypatch, capsys):
    stop_at(monkeypatch, 3, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert run_training_arguments(arguments(tmp_path)) == 130
    assert "stopped after step 3, which is saved" in capsys.readouterr().err
    folder = tmp_path / "runs" / "smoke"
    assert len(log_of(folder)) == 3
    assert not (folder / "pipeline").exists()
    monkeypatch.undo()
    assert run_training_arguments(arguments(tmp_path)) == 0
    assert curve(folder) == curve(finished)
    ours, theirs = tensors(folder), tensors(finished)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(v, theirs[k]) for k, v in ours.items())


def test_sigterm_saves_as_ctrl_c_does_and_handlers_are_put_back(tmp_path, monkeypatch):
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    stop_at(monkeypatch, 1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted, match="step 1"):
        train(load("smoke", arguments(tmp_path)[1:]))
    assert [p.name for p in (tmp_path / "runs/smoke/checkpoints").iterdir()] == ["step-0000001"]
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before


def test_later_ctrl_c_stops_at_once(tmp_path, monkeypatch, capsys):
    from diffad.training import stop

    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        monkeypatch.setattr(stop, "RELAY", -1.0)
        os.kill(os.getpid(), signal.SIGINT)

    stop_at(monkeypatch, 3, twice)
    assert run_training_arguments(arguments(tmp_path)) == 130
    assert "stopped at once; the last checkpoint is kept" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "runs/smoke/checkpoints").iterdir()] == ["step-0000002"]


def test_signal_passed_on_by_a_launcher_counts_once(tmp_path, monkeypatch, capsys):
    def relayed():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    stop_at(monkeypatch, 1, relayed)
    assert run_training_arguments(arguments(tmp_path)) == 130
    assert "stopped after step 1" in capsys.readouterr().err


def test_training_runs_outside_the_main_thread(small):
    done = []
    thread = threading.Thread(target=lambda: done.append(train(small("train.steps=1"))))
    thread.start()
    thread.join()
    assert done[0].is_dir()


def test_log_torn_by_a_kill_is_mended_on_resume(finished, tmp_path, monkeypatch):
    stop_at(monkeypatch, 3, lambda: os.kill(os.getpid(), signal.SIGINT))
    run_training_arguments(arguments(tmp_path))
    monkeypatch.undo()
    folder = tmp_path / "runs" / "smoke"
    with (folder / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "loss": 9.0}\n{"step": 5, "lo')
    assert run_training_arguments(arguments(tmp_path)) == 0
    assert curve(folder) == curve(finished)


def test_finished_run_only_exports_again(finished, monkeypatch):
    before = curve(finished)
    monkeypatch.setattr(Trainer, "update", lambda *_: pytest.fail("there was nothing left to train"))
    assert run_training_arguments(arguments(finished.parents[1])) == 0
    assert curve(finished) == before
    assert AnomalyPipeline.from_pretrained(finished / "pipeline").config.provenance["steps"] == 8


def test_finished_run_can_be_made_longer(tmp_path):
    assert run_training_arguments(arguments(tmp_path, "train.steps=2")) == 0
    assert run_training_arguments(arguments(tmp_path, "train.steps=3")) == 0
    assert [line["step"] for line in log_of(tmp_path / "runs" / "smoke")] == [1, 2, 3]


def test_damaged_checkpoint_costs_the_steps_since_the_one_before(finished, tmp_path, monkeypatch):
    stop_at(monkeypatch, 5, lambda: os.kill(os.getpid(), signal.SIGINT))
    run_training_arguments(arguments(tmp_path))
    monkeypatch.undo()
    folder = tmp_path / "runs" / "smoke"
    (folder / "checkpoints" / "step-0000005" / "model.safetensors").write_bytes(b"")
    with pytest.warns(UserWarning, match="step-0000005: expected a whole checkpoint"):
        assert run_training_arguments(arguments(tmp_path)) == 0
    assert curve(folder) == curve(finished)


def test_full_disk_is_one_clear_line_and_keeps_what_was_saved(tmp_path, monkeypatch, capsys):
    real = checkpoint.save_file

    def full(values, path):
        if "step-0000004" in str(path):
            raise OSError(28, "No space left on device")
        real(values, path)

    monkeypatch.setattr(checkpoint, "save_file", full)
    assert run_training_arguments(arguments(tmp_path)) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    errors = [line for line in lines if not re.match(r"(training smoke on|step \d+ of) ", line)]
    assert len(errors) == 1
    assert errors[0].startswith("error:")
    assert "No space left on device" in errors[0]
    assert [p.name for p in (tmp_path / "runs/smoke/checkpoints").iterdir()] == ["step-0000002"]


def test_full_disk_at_the_export_leaves_no_half_pipeline(tmp_path, monkeypatch, capsys):
    fill_disk(monkeypatch, "pipeline")
    assert run_training_arguments(arguments(tmp_path, "train.steps=2")) == 1
    assert "pipeline: cannot be written" in capsys.readouterr().err
    folder = tmp_path / "runs" / "smoke"
    assert not [p.name for p in folder.iterdir() if "pipeline" in p.name]
    monkeypatch.undo()
    assert run_training_arguments(arguments(tmp_path, "train.steps=2")) == 0
    assert (folder / "pipeline" / "model_index.json").is_file()


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
def test_log_that_cannot_be_written_names_its_file(tmp_path, monkeypatch, capsys):
    real = Path.open

    def open_full(self, mode="r", **options):
        return real(FULL if (self.name, mode) == ("log.jsonl", "a") else self, mode, **options)

    monkeypatch.setattr(Path, "open", open_full)
    assert run_training_arguments(arguments(tmp_path)) == 1
    path = tmp_path / "runs" / "smoke" / "log.jsonl"
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == f"error: {path}: cannot be written (No space left on device)"
    assert len(lines) == 2  # the first says that it begins


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("model.channels=[16]", "model"),
        ("noise.octaves=2", "noise"),
        ("schedule.beta_schedule=linear", "schedule"),
        ("space.high=98", "space"),
    ],
)
def test_checkpoint_of_another_network_noise_schedule_or_space_is_refused(finished, capsys, change, said):
    before = curve(finished)
    assert run_training_arguments(arguments(finished.parents[1], change)) == 1
    assert f"expected a checkpoint of {said}." in capsys.readouterr().err
    assert curve(finished) == before


def test_other_levels_need_asking_and_end_with_a_pipeline(tmp_path, capsys):
    assert run_training_arguments(arguments(tmp_path, "train.steps=4")) == 0
    other = ["train.levels=[1, 30]", "train.lr=0.002"]
    assert run_training_arguments(arguments(tmp_path, *other)) == 1
    assert (
        "expected a checkpoint of train.levels = [1, 30] as in the config, found [1, 50]"
        in capsys.readouterr().err
    )
    assert run_training_arguments(arguments(tmp_path, *other, "train.allow_changes=true")) == 0
    said = capsys.readouterr().err
    assert "another train.levels: [1, 50] -> [1, 30]\n" in said
    assert "another train.lr: 0.001 -> 0.002\n" in said
    assert "warning" not in said
    folder = tmp_path / "runs" / "smoke"
    assert AnomalyPipeline.from_pretrained(folder / "pipeline").config.provenance["steps"] == 8
    assert Image.open(folder / "curves.png").size[0] > 500


def test_sampler_that_makes_examples_is_refused_while_steps_are_left(tmp_path, capsys):
    patched = "sampler={name: patched, box: 8, inner: {name: chain, level: 20, steps: 1}}"
    assert run_training_arguments(arguments(tmp_path, "train.steps=2")) == 0
    assert run_training_arguments(arguments(tmp_path, "train.steps=4", patched)) == 1
    assert "expected a checkpoint of sampler = {'name': 'patched'" in capsys.readouterr().err
    assert run_training_arguments(arguments(tmp_path, "train.steps=2", patched)) == 0
    assert "goes on with another sampler: " in capsys.readouterr().err


def test_second_training_in_one_folder_is_refused_by_name(finished, capsys):
    before = log_of(finished)
    with hold_claim(finished / RUNNING / "training"):
        assert run_training_arguments(arguments(finished.parents[1], "train.steps=9")) == 1
    said = f"{finished}: expected no other training in this folder, found process {os.getpid()} on "
    assert said in capsys.readouterr().err
    assert log_of(finished) == before
    assert not list(finished.glob(".*"))


def test_claim_of_a_killed_training_is_taken_over(tmp_path):
    lock = tmp_path / "runs" / "smoke" / RUNNING / "training"
    lock.parent.mkdir(parents=True)
    lock.write_text('{"host": "elsewhere", "pid": 1}')
    assert run_training_arguments(arguments(tmp_path, "train.steps=2")) == 0
    assert not lock.parent.exists()


@pytest.mark.parametrize("name", ["export.save_curves", "validate.save_estimates"])
def test_picture_that_fails_is_a_warning_and_the_pipeline_is_there(tmp_path, monkeypatch, capsys, name):
    def fail(*_, **__):
        raise KeyError("val_mae_12")

    monkeypatch.setattr("PIL.Image.fromarray" if "estimates" in name else f"diffad.training.{name}", fail)
    assert run_training_arguments(arguments(tmp_path, "train.steps=4")) == 0
    assert "png: this picture could not be made (KeyError: 'val_mae_12')" in capsys.readouterr().err
    assert (tmp_path / "runs" / "smoke" / "pipeline" / "model_index.json").is_file()


MISTAKES = [
    ("train.stpes=3", "unknown config key 'train.stpes'; did you mean 'train.steps'?"),
    ("noise.name=simplx", "config key noise: unknown noise 'simplx'; did you mean 'simplex'?"),
    (
        "sampler.stps=3",
        "config key sampler: unknown option of sampler 'chain': 'stps'; did you mean 'steps'?",
    ),
    ("score.name=l7", "config key score: unknown score 'l7'"),
    ("guidance.name=pull", "config key guidance: unknown guidance 'pull'"),
    ("model.channels=[9]", "config key model: UNet2D expected widths divisible by groups = 8, got [9]"),
    ("noise.octaves=six", "config key noise: "),
    ("train.steps=many", "config key train.steps: expected int, got 'many'"),
    ("data={name: images}", "dataset 'images' needs data.root, which is missing"),
    ("data={name: images, root: /nowhere}", "config key data: /nowhere"),
    ("data.count=0", "expected items to train and validate on, found none in 'train'"),
    (
        "train.accumulate=3",
        "expected train.batch_size divisible by processes x train.accumulate = 1 x 3, got 4",
    ),
]


@pytest.mark.parametrize(("change", "said"), MISTAKES)
def test_mistake_in_the_config_is_one_line_and_exit_code_1(tmp_path, capsys, change, said):
    assert run_training_arguments(arguments(tmp_path, change)) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert said in lines[0]


def test_missing_config_lists_the_shipped_ones(capsys):
    assert run_training_arguments(["nowhere.yaml"]) == 1
    assert "nowhere.yaml: no such file; shipped configs: " in capsys.readouterr().err


def test_no_arguments_show_the_usage(capsys):
    assert (run_training_arguments([]), run_training_arguments(["--help"])) == (2, 0)
    usage = "usage: accelerate launch -m diffad.training [--plugin FILE]... CONFIG"
    assert capsys.readouterr().out.count(usage) == 2


def test_one_process_may_train_twice_with_other_precisions(tmp_path):
    assert run_training_arguments(arguments(tmp_path, "train.steps=1")) == 0
    assert (
        run_training_arguments(
            arguments(tmp_path, "train.steps=1", "name=other", "train.mixed_precision=bf16")
        )
        == 0
    )


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_every_prediction_type_is_trained_validated_and_exported(tmp_path, prediction):
    recipe = [f"schedule.prediction_type={prediction}", "train.loss=l1", "train.snr_gamma=5"]
    assert run_training_arguments(arguments(tmp_path, *recipe, "train.steps=4")) == 0
    folder = tmp_path / "runs" / "smoke"
    assert all(np.isfinite(line["loss"]) for line in log_of(folder))
    pipe = AnomalyPipeline.from_pretrained(folder / "pipeline")
    assert pipe.scheduler.config.prediction_type == prediction


def test_network_of_volumes_is_trained_from_files_to_a_pipeline(tmp_path):
    from tests.helpers.brains import save_volume

    for seed in range(10):
        save_volume(tmp_path / "scans" / f"sub-{seed}_T1w.nii.gz", seed=seed)
    changes = [
        f"data={{name: volumes, root: {tmp_path / 'scans'}}}",
        "space.axis=volume",
        "model={name: unet3d, channels: [8], layers: 1}",
        "augment={flip: 0.5, rotate: 5, gamma: 0.1}",
        "train.steps=2",
        "train.batch_size=2",
    ]
    assert run_training_arguments(arguments(tmp_path, *changes)) == 0
    pipe = AnomalyPipeline.from_pretrained(tmp_path / "runs" / "smoke" / "pipeline")
    out = pipe(tmp_path / "scans" / "sub-0_T1w.nii.gz")
    assert out.anomaly_map.shape == (1, 1, 12, 14, 10)
    assert list((tmp_path / "runs/smoke/samples").iterdir())


def test_terminal_sees_a_bar_with_the_time_left_and_a_file_does_not(tmp_path, monkeypatch, capsys):
    assert run_training_arguments(arguments(tmp_path, "train.steps=1")) == 0
    told = capsys.readouterr()
    begin, step = told.err.splitlines()
    assert begin.startswith("training smoke on cpu: 1 steps of ")
    assert begin.endswith(f"; log and checkpoints go to {tmp_path / 'runs' / 'smoke'}")
    assert re.fullmatch(r"step 1 of 1, loss [\d.]+, validation loss [\d.]+", step)
    assert json.loads(told.out) == {"pipeline": str(tmp_path / "runs" / "smoke" / "pipeline")}
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert run_training_arguments(arguments(tmp_path, "train.steps=3")) == 0
    told = capsys.readouterr().err
    assert "3/3" in told
    assert "0:00:00" in told
    assert "loss" in told


def test_half_precision_on_disk_is_half_the_size_and_loads_as_float32(finished, tmp_path):
    pipe = AnomalyPipeline.from_pretrained(finished / "pipeline")
    export.save_pipeline(pipe, tmp_path / "half", dtype=torch.float16)
    half, whole = (
        folder / "network" / "diffusion_pytorch_model.safetensors"
        for folder in (tmp_path / "half", finished / "pipeline")
    )
    assert {v.dtype for v in load_file(half).values()} == {torch.float16}
    assert half.stat().st_size < 0.75 * whole.stat().st_size
    loaded = AnomalyPipeline.from_pretrained(tmp_path / "half").network
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert all(
        torch.equal(v, pipe.network.state_dict()[k].half().float()) for k, v in loaded.state_dict().items()
    )
    assert {p.dtype for p in pipe.network.parameters()} == {torch.float32}


def test_saved_pipeline_does_not_tell_where_it_was_loaded_from(finished, tmp_path):
    pipe = AnomalyPipeline.from_pretrained(finished / "pipeline")
    folder = export.save_pipeline(pipe, tmp_path / "copy")
    assert not any(str(finished) in path.read_text() for path in folder.rglob("*.json"))
    again = AnomalyPipeline.from_pretrained(folder)
    for key in ("noise", "sampler", "score", "guidance", "space", "postprocess", "calibration", "provenance"):
        assert again.config[key] == pipe.config[key]
