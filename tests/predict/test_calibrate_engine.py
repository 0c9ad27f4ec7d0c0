"""Thresholds measured with the engine that will be used, which the model then says."""

import json

import numpy as np
import pytest

from diffad import AnomalyPipeline
from diffad.cli import main
from diffad.engines import Engine
from diffad.hub.facts import summarise_calibration
from diffad.inference.precision import list_engine_warnings
from diffad.threshold import Calibration
from tests.helpers.cohorts import inside, load


@pytest.fixture
def calibrate(model, cohort, tmp_path, capsys):
    """Calibrate a model, and return exit code, its calibration or none, and what was said."""

    def run(name, *words):
        out = tmp_path / name
        code = main(["calibrate", str(cohort), "--model", str(model), "--out", str(out), *words])
        told = capsys.readouterr()
        config = AnomalyPipeline.from_pretrained(out).config if out.exists() else None
        return code, config, told.out + told.err

    run.out = tmp_path
    return run


@pytest.fixture
def bent_engine(monkeypatch):
    """The engine "compile" as one that answers otherwise than torch, so that it shows who ran the network."""
    monkeypatch.setattr("diffad.engines.engine.open_core", lambda *how: lambda *inputs: 0.5 * how[3](*inputs))


@pytest.mark.usefixtures("bent_engine")
def test_thresholds_are_those_of_the_maps_that_the_engine_makes(calibrate, predict):
    code, config, told = calibrate("ours", "--engine", "compile", "--precision", "fp32")
    assert code == 0
    assert "2 of 2 scans" in told
    assert "voxels, compile in fp32" in told
    kept = Calibration.from_dict(config.calibration)
    assert (kept.engine, kept.precision) == ("compile", "fp32")
    plain = calibrate("plain", "--precision", "fp32")[1].calibration
    assert (plain["engine"], plain["precision"]) == ("torch", "fp32")
    assert abs(plain["thresholds"]["0.01"] / kept.threshold(0.01) - 1) > 1e-3
    words = ("--engine", "compile", "--precision", "fp32")
    assert predict(*words, model=calibrate.out / "ours")[0] == 0
    scores = np.concatenate([load(predict.out / f"s{i}_anomaly.nii.gz")[inside()] for i in range(2)])
    assert (scores > kept.threshold(0.01)).mean() <= 0.01
    assert (scores >= kept.threshold(0.01) * (1 - 1e-6)).mean() > 0.01


@pytest.mark.usefixtures("bent_engine")
def test_model_and_card_say_which_engine_it_was(calibrate):
    _, config, told = calibrate("ours", "--engine", "compile", "--precision", "fp32", "--json")
    assert summarise_calibration(config).endswith("; maps of compile in fp32")
    assert "maps of compile in fp32" in (calibrate.out / "ours" / "README.md").read_text()
    rates = next(event for line in told.splitlines() if "achieved" in (event := json.loads(line)))
    assert (rates["engine"], rates["precision"]) == ("compile", "fp32")
    index = json.loads((calibrate.out / "ours" / "model_index.json").read_text())
    assert index["calibration"]["engine"] == "compile"


def test_format_that_an_engine_lacks_is_refused_before_any_scan(calibrate):
    code, config, told = calibrate("ours", "--engine", "onnx", "--precision", "bf16")
    assert (code, config) == (1, None)
    assert "expected one of fp32, int8 for the engine onnx, got 'bf16'" in told
    assert "left out" not in told


def test_calibration_goes_to_a_model_and_back_with_its_engine_and_of_old_without():
    own = Calibration({0.01: 2.0}, 3, 100, engine="openvino", precision="bf16")
    assert Calibration.from_dict(own.to_dict()) == own
    old = Calibration({0.01: 2.0}, 3, 100)
    assert not {"engine", "precision"} & set(old.to_dict())
    assert Calibration.from_dict(old.to_dict()).engine == ""
    with pytest.raises(ValueError, match="engine"):
        Calibration({0.01: 2.0}, 3, 100, engine="abacus")


@pytest.mark.parametrize(
    ("own", "here", "words"),
    [
        ({}, ("compile", "int8"), "differ from those of torch by 50%"),
        ({"engine": "torch", "precision": "fp32"}, ("compile", "int8"), "differ from those of torch by 50%"),
        ({"engine": "compile", "precision": "int8"}, ("compile", "int8"), ""),
        (
            {"engine": "compile", "precision": "int8"},
            ("onnx", "int8"),
            "they are of compile in int8, and these",
        ),
        (
            {"engine": "compile", "precision": "int8"},
            ("torch", "fp32"),
            "they are of compile in int8, and these",
        ),
        ({"engine": "compile", "precision": "fp32"}, ("torch", "fp32"), ""),
        (
            {"engine": "compile", "precision": "fp32"},
            ("compile", "int8"),
            "differ from those of torch by 50%",
        ),
    ],
)
def test_who_looks_with_another_engine_is_told(own, here, words):
    engine = Engine(here[0])
    engine._records["int8"] = {"difference_share": 0.5}
    texts = list_engine_warnings(engine, here[1], {"thresholds": {}, **own})
    assert len(texts) == bool(words)
    assert all(words in text for text in texts)
    assert list_engine_warnings(engine, here[1], None) == engine.list_warnings(here[1])
