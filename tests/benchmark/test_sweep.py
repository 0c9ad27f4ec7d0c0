"""A sweep trains every value, measures errors where they belong, and chooses with and without lesions."""

import csv
import math

import numpy as np
import pytest
import torch
from PIL import Image

from diffad.benchmark.config import DataConfig
from diffad.benchmark.sweep import Sweep, parse_sweep
from diffad.cli import main
from diffad.config.schema import ConfigError
from diffad.pipeline import AnomalyPipeline
from diffad.report.sweep import SweepPoint, draw_sweep, find_best, find_elbow

QUICK = [
    "data.mask=brain_mask.png",
    "data.spacing=1.0",
    "space.size=32",
    "train.steps=40",
    "train.warmup=0",
    "train.batch_size=8",
    "train.validate_every=40",
    "train.validate_items=4",
    "train.checkpoint_every=40",
    "train.device=cpu",
]


def point(value, healthy=1.0, ap=0.1, seed=0):
    return SweepPoint(value, seed, healthy / 2, healthy, 2 * healthy, ap, ap)


def test_words_make_a_benchmark_of_every_value_and_seed(tmp_path):
    sweep = parse_sweep("ae", "model.latent=1, 4", [0, 7], ["variant=vae"])
    config = sweep.make_benchmark(DataConfig(slices="data"), tmp_path)
    assert [(m.label, m.train, m.set) for m in config.methods] == [
        ("latent 1 seed 0", "ae", ("variant=vae", "model.latent=1", "seed=0")),
        ("latent 1 seed 7", "ae", ("variant=vae", "model.latent=1", "seed=7")),
        ("latent 4 seed 0", "ae", ("variant=vae", "model.latent=4", "seed=0")),
        ("latent 4 seed 7", "ae", ("variant=vae", "model.latent=4", "seed=7")),
    ]


@pytest.mark.parametrize("words", ["model.latent", "model.latent=4", "=1,2", "model.latent=4,4", "a=1/2,3"])
def test_words_that_are_no_sweep_are_refused(words):
    with pytest.raises(ConfigError, match="expected"):
        parse_sweep("ae", words, [0], [])


def test_seed_named_twice_is_refused():
    with pytest.raises(ConfigError, match="seeds named once, got 0, 0"):
        parse_sweep("ae", "model.latent=1,2", [0, 0], [])


def test_elbow_is_where_the_healthy_error_bends():
    errors = {"1": 1.0, "2": 0.5, "4": 0.25, "8": 0.125, "16": 0.12, "32": 0.115}
    points = [point(value, error * factor) for value, error in errors.items() for factor in (0.9, 1.1)]
    assert find_elbow(points) == "8"
    assert find_elbow(list(reversed(points))) == "8"


@pytest.mark.parametrize("values", [["a", "b", "c"], ["1", "2"], ["0", "1", "2"]])
def test_there_is_no_elbow_of_words_or_of_two_values(values):
    assert find_elbow([point(v, 1 / (i + 1) ** 2) for i, v in enumerate(values)]) is None


def test_straight_errors_have_no_elbow():
    assert find_elbow([point(v, 1 / float(v)) for v in ("1", "2", "4", "8")]) is None


def test_best_is_that_of_the_mean_over_seeds():
    points = [point("a", ap=0.9), point("a", ap=0.1, seed=1), point("b", ap=0.6), point("b", ap=0.6, seed=1)]
    assert find_best(points) == "b"
    assert find_best([point("a", ap=math.nan), point("b", ap=0.2)]) == "b"
    assert find_best([point("a", ap=math.nan)]) is None


def test_picture_is_drawn_of_numbers_and_of_words(tmp_path):
    for values in (("1", "2", "8"), ("l1", "l2", "ssim")):
        path = tmp_path / "sweep.png"
        path.write_bytes(draw_sweep("model.x", [point(v, 1 / (i + 1)) for i, v in enumerate(values)]))
        with Image.open(path) as picture:
            assert picture.size == (1300, 520)
            assert np.asarray(picture.convert("L")).std() > 10


def test_command_trains_measures_and_goes_on(tmp_path, slices, capsys):
    out = tmp_path / "sweep"
    words = ["sweep", "ae", *QUICK, "--over", "model.latent=1,8", "--data", str(slices)]
    words += ["--side", "32", "--out", str(out)]
    assert main(words) == 0
    rows = list(csv.DictReader((out / "sweep.csv").open()))
    assert [row["value"] for row in rows] == ["1", "8"]
    assert "it judges what it chose" in capsys.readouterr().err
    for row in rows:
        pipe = AnomalyPipeline.from_pretrained(out / "runs" / f"latent {row['value']} seed 0" / "pipeline")
        assert pipe.network.config.latent == int(row["value"])
        files = sorted((slices / "val").glob("*.png"))
        x = torch.stack([torch.from_numpy(np.asarray(Image.open(f)) / 255).float()[None] for f in files])
        brain = torch.from_numpy(np.asarray(Image.open(slices / "brain_mask.png")) > 0)
        x_hat = pipe(x, mask=brain.expand(4, 1, 32, 32), seed=0, precision="fp32").reconstruction
        error = (x_hat.clamp(0, 1) - x)[:, 0][:, brain].square().mean()
        assert float(row["healthy_error"]) == pytest.approx(float(error), rel=0.02)
        assert float(row["lesion_error"]) > 0
        assert 0 <= float(row["pixel_ap"]) <= 1
    before = (out / "sweep.csv").read_bytes()
    (out / "sweep.csv").unlink()
    assert main(words) == 0
    assert (out / "sweep.csv").read_bytes() == before
    assert "training latent" not in capsys.readouterr().err


def test_sweep_of_a_setting_that_does_not_exist_says_so(tmp_path, slices, capsys):
    words = ["sweep", "ae", *QUICK, "--over", "model.width=1,8", "--data", str(slices), "--side", "32"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 1
    assert "model.width" in capsys.readouterr().err


def test_label_is_short_and_plain():
    assert Sweep("ae", "train.lr", ("1e-3",)).label("1e-3", 2) == "lr 1e-3 seed 2"
