"""Methods are compared on the same lesions, and each line tells what it cost."""

import json

import pytest
import torch
from diffusers import DDPMScheduler
from PIL import Image

from diffad import AnomalyPipeline
from diffad.data.lesions import implant_all
from diffad.evaluation.implanted import compare
from diffad.evaluation.methods import ComparedMethod, format_methods, main, score_methods
from diffad.models.unet2d import UNet2D
from diffad.report import gallery
from tests.evaluation.conftest import scans


@pytest.fixture
def pipeline(tmp_path):
    """A folder with a pipeline that was never trained."""
    torch.manual_seed(0)
    network = UNet2D(channels=(8,), layers=1, groups=4, attention=False)
    pipe = AnomalyPipeline(
        network,
        DDPMScheduler(num_train_timesteps=50),
        sampler={"name": "oneshot", "levels": [5, 9]},
        space={"size": 32},
        provenance={"name": "untrained"},
    )
    pipe.save_pretrained(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_table_holds_baselines_models_and_their_cost(folder, pipeline, tmp_path, capsys):
    out = tmp_path / "rows.json"
    models = [str(pipeline), f"mine={pipeline}"]
    main([str(folder), *models, "--size", "32", "--seeds", "0", "1", "--limit", "2", "--out", str(out)])
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    naive = ["z-score", "PCA 16", "raw intensity"]
    assert [line.split("|")[1].strip() for line in told[2:]] == [*naive, "untrained", "mine"]
    assert told[5].split("|")[2:] != told[2].split("|")[2:]
    weights = sum(p.numel() for p in UNet2D(channels=(8,), layers=1, groups=4, attention=False).parameters())
    assert told[5].split("|")[7].strip() == "2"
    assert told[5].split("|")[9].strip() == f"{weights / 1e6:.2f} M"
    rows = json.loads(out.read_text())["rows"]
    assert {(r["method"], r["nfe"]) for r in rows} >= {("untrained", 2), ("mine", 2), ("z-score", 0)}
    assert len(rows) == 5 * 2 * 5
    # the same model on the same lesions with the same noise
    assert [r["ap"] for r in rows if r["method"] == "mine"] == [
        r["ap"] for r in rows if r["method"] == "untrained"
    ]


def test_changes_make_a_line_each(folder, pipeline, capsys):
    changes = ["sampler={name: oneshot, levels: 3}", "score={name: l2}"]
    options = ["--size", "32", "--limit", "1", "--no-baselines", "--set", "noise={name: coarse}"]
    main([str(folder), str(pipeline), *options, "--each", *changes])
    lines = [line.split("|") for line in capsys.readouterr().out.splitlines()[-2:]]
    assert [line[1].strip() for line in lines] == [f"untrained {change}" for change in changes]
    assert [line[7].strip() for line in lines] == ["1", "2"]


def test_columns_are_the_tasks_that_were_asked_for(folder, tmp_path, capsys):
    out = tmp_path / "rows.json"
    options = ["--size", "32", "--limit", "2", "--lesions", "corrupted", "--tasks", "intensity", "sink"]
    main([str(folder), *options, "--out", str(out)])
    head, _, *lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [c.strip() for c in head.split("|")[1:6]] == ["method", "intensity", "sink", "mean", "NFE"]
    assert [line.split("|")[1].strip() for line in lines] == ["z-score", "PCA 16", "raw intensity"]
    rows = json.loads(out.read_text())["rows"]
    assert [r["kind"] for r in rows if r["method"] == "PCA 16"] == ["intensity", "sink", "mean"]
    assert json.loads(out.read_text())["made_by"]["lesions"] == "corrupted"


def test_tasks_choose_among_implanted_kinds_without_changing_them(folder, capsys):
    main([str(folder), "--size", "32"])
    every = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    main([str(folder), "--size", "32", "--tasks", "textured"])
    only = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    column = [cell.strip() for cell in every[0]].index("textured")
    assert [line[2] for line in only] == [line[column] for line in every]


def test_unknown_task_is_named_with_those_there_are(folder, capsys):
    with pytest.raises(SystemExit):
        main([str(folder), "--size", "32", "--lesions", "corrupted", "--tasks", "sink", "dark"])
    error = capsys.readouterr().err
    assert "expected kinds of corrupted lesions out of blend, cross_blend, sink, source, intensity" in error
    assert "got dark" in error


def test_lesions_are_made_once_for_all_methods_of_a_seed():
    slices, brain = scans()
    made = []

    def make(x, inside, seed):
        made.append(seed)
        return implant_all(x, inside, seed)

    lines = [ComparedMethod(name, lambda x, seed: x) for name in "ab"]
    score_methods(lines, slices, brain, [3, 4], make)
    assert made == [3, 4]
    expected = [row for seed in (3, 4) for row in compare({"a": lambda x: x}, slices, brain, seed)]
    assert lines[0].rows == expected
    assert format_methods(lines).splitlines()[2].startswith("| a |")


def test_a_model_that_is_not_there_is_named(folder, capsys):
    with pytest.raises(SystemExit):
        main([str(folder), "nowhere", "--size", "32"])
    assert "nowhere" in capsys.readouterr().err


def test_gallery_shows_scan_twin_and_map_with_the_lesion_outlined(folder, pipeline, tmp_path):
    gallery.run_gallery_arguments(
        [str(folder), f"mine={pipeline}", "--size", "32", "--out", str(tmp_path / "new")]
    )
    with Image.open(tmp_path / "new" / "mine.png") as picture:
        assert picture.size == (4 * 32, 3 * 32)


def test_gallery_colours_the_map_from_black_to_white():
    scan, flat = torch.full((8, 8), 0.5), torch.zeros(8, 8)
    lesion = torch.zeros(8, 8, dtype=torch.bool)
    lesion[3:5, 3:5] = True
    picture = gallery.compose_gallery([scan], [scan], [lesion.float()], [lesion])
    assert picture.shape == (3, 24, 8)
    assert picture[:, 16 + 3, 3].tolist() == [1, 1, 1]
    assert picture[:, 16, 0].tolist() == [0, 0, 0]
    assert picture[:, 2, 3].tolist() == pytest.approx([0.1, 0.9, 1.0])
    assert picture[:, 8 + 2, 3].tolist() == [0.5, 0.5, 0.5]
    assert gallery.compose_gallery([scan], [scan], [flat], [lesion])[:, 16].max() == 0
