"""The command that exports a network, and results that say which engine made them."""

import json

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.cli import main
from tests.helpers.brains import save_volume
from tests.test_pipeline import UNet2D, make


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFAD_CACHE", str(tmp_path / "cache"))
    pipe = make(UNet2D(channels=(16, 16), groups=4, layers=1, attention=False))
    torch.nn.init.normal_(pipe.network.unet.conv_out.weight, std=0.2)
    pipe.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_export_says_where_it_lies(folder, capsys):
    assert main(["export", str(folder), "--to", "onnx", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()][-1]
    assert told["folder"] == str(folder / "engines" / "onnx-fp32")
    assert (folder / "engines" / "onnx-fp32" / "model.onnx").is_file()


def test_export_for_other_programs_lies_where_it_is_asked_for(folder, tmp_path):
    assert main(["export", str(folder), "--to", "onnx", "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "onnx-fp32" / "model.onnx").is_file()
    assert not (folder / "engines").exists()


def test_int8_is_measured_on_scans_and_compared_with_torch(folder, tmp_path, capsys):
    scan = save_volume(tmp_path / "healthy.nii.gz")
    words = ["export", str(folder), "--to", "onnx", "--precision", "int8"]
    assert main(words) == 1
    assert "expected healthy scans to measure ranges on (--scans), got none" in capsys.readouterr().err
    assert main([*words, "--scans", str(scan)]) == 0
    assert "maps differ from those of torch in fp32 by" in capsys.readouterr().out
    record = json.loads((folder / "engines" / "onnx-int8" / "engine.json").read_text())
    assert record["ranges"]
    assert record["difference_p99"] > 0
    pipe = AnomalyPipeline.from_pretrained(folder, engine="onnx")
    output = pipe(scan, precision="int8")
    assert output.info["engine"] == "onnx"
    assert output.info["precision"] == "int8"
    warned = any("differ from those of torch" in text for text in output.info["warnings"])
    assert warned == (record["difference_share"] > 0.1)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--to", "compile"], "expected int8 for --to compile, got fp32"),
        (
            ["--to", "onnx", "--precision", "bf16"],
            "expected one of fp32, int8 for the engine onnx, got 'bf16'",
        ),
    ],
)
def test_what_an_engine_does_not_have_is_refused(folder, words, problem, capsys):
    assert main(["export", str(folder), *words]) != 0
    assert problem in capsys.readouterr().err
