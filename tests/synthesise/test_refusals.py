"""What a stranger gives the command by mistake: each is said in the words of this command."""

import shutil

import numpy as np
import pytest

import diffad.synthesise.write as writing
from diffad.cli import main
from diffad.registry import MODELS
from tests.helpers.cohorts import inside, write
from tests.helpers.stable import PROMPT
from tests.synthesise.conftest import BACKBONE, make_pipe
from tests.synthesise.test_command import read, run


@pytest.fixture
def scan(scans):
    return scans / "s0.nii.gz"


def paint(scan, *words, out, model):
    return run(scan, "--label", "1", *words, out=out, model=model)


def test_region_outside_the_brain_is_called_a_region(scan, class_model, tmp_path, capsys):
    corner = np.zeros(inside().shape, np.uint8)
    corner[:2, :2, :2] = 1
    write(tmp_path / "corner.nii.gz", corner)
    assert paint(scan, "--region", tmp_path / "corner.nii.gz", out=tmp_path / "out", model=class_model) == 1
    told = capsys.readouterr().err
    assert "expected a region in its brain, found 100% outside" in told
    assert "lesion mask" not in told


def test_empty_region_is_called_a_region(scan, class_model, tmp_path, capsys):
    write(tmp_path / "empty.nii.gz", np.zeros(inside().shape, np.uint8))
    assert paint(scan, "--region", tmp_path / "empty.nii.gz", out=tmp_path / "out", model=class_model) == 1
    assert "expected a region with values above 0.5, found an empty mask" in capsys.readouterr().err


def test_region_that_is_not_beside_its_scan_is_no_brain_mask(scan, class_model, tmp_path, capsys):
    assert paint(scan, "--region", "_nowhere", out=tmp_path / "out", model=class_model) == 1
    assert "expected its region s0_nowhere.nii.gz beside it, found none" in capsys.readouterr().err


def test_model_without_classes_is_named(scan, tmp_path, capsys):
    make_pipe(MODELS.build(**BACKBONE), provenance={"name": "plain"}).save_pretrained(tmp_path / "model")
    assert paint(scan, "--region", "_here", out=tmp_path / "out", model=tmp_path / "model") == 1
    assert "plain: expected a model that knows classes" in capsys.readouterr().err


def test_detail_that_is_too_long_is_refused_before_any_scan(scan, stable_folder, tmp_path, capsys):
    pytest.importorskip("transformers")
    words = ["--prompt", PROMPT, "--word", "crack", "--detail", "a " * 100 + "crack"]
    assert run(scan, "--region", "_here", *words, out=tmp_path / "out", model=stable_folder) == 1
    told = capsys.readouterr().err
    assert "detail: expected at most 75 tokens, got 101" in told
    assert "Loading weights" not in told  # no bar of a library outside a terminal
    assert not (tmp_path / "out").exists()


def test_volume_of_several_sequences_is_refused(scan, class_model, tmp_path, capsys):
    write(tmp_path / "four.nii.gz", np.stack([read(scan)] * 3, -1))
    words = ["--region", scan.with_name("s0_here.nii.gz")]
    assert paint(tmp_path / "four.nii.gz", *words, out=tmp_path / "out", model=class_model) == 1
    assert "expected one sequence, found 3" in capsys.readouterr().err


def test_count_of_none_is_wrong_usage(scan, class_model, tmp_path, capsys):
    assert paint(scan, "--count", "0", out=tmp_path / "out", model=class_model) == 2
    assert "'--count'" in capsys.readouterr().err


def test_out_that_is_a_file_is_named(scan, class_model, tmp_path, capsys):
    (tmp_path / "out").touch()
    assert paint(scan, "--region", "_here", out=tmp_path / "out", model=class_model) == 1
    assert f"error: {tmp_path / 'out'}: " in capsys.readouterr().err


def test_no_strength_returns_the_scan_and_says_so(scan, class_model, tmp_path, capsys):
    words = [scan, "--label", "1", "--region", "_here", "--model", class_model, "--out", tmp_path / "out"]
    assert main(["synthesise", *map(str, words), "--strength", "0"]) == 0
    assert np.array_equal(read(tmp_path / "out" / "scans" / "s0.nii.gz"), read(scan))
    assert "nothing became visible in the region" in capsys.readouterr().err


def test_interrupted_scan_is_painted_by_the_same_command(scan, class_model, tmp_path, monkeypatch):
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert paint(scan, "--region", "_here", out=whole, model=class_model) == 0

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(writing, "draw_synthesis", stop)
        assert paint(scan, "--region", "_here", out=out, model=class_model) == 130
    assert not list(out.glob("*.json"))
    shutil.copy(scan, out / "lesions" / "s0_lesion.nii.gz")  # half a result is none
    assert paint(scan, "--region", "_here", out=out, model=class_model) == 0
    for name in ("scans/s0.nii.gz", "lesions/s0_lesion.nii.gz"):
        assert np.array_equal(read(out / name), read(whole / name))
    assert (out / "table.csv").is_file()
