"""Finished scans hold the engine that made them."""

import json


def test_results_of_another_engine_are_kept_unless_overwritten(predict, monkeypatch, tmp_path):
    monkeypatch.setenv("DIFFAD_CACHE", str(tmp_path / "cache"))
    predict()
    record = predict.out / "s0_info.json"
    assert json.loads(record.read_text())["engine"] == "torch"
    assert "engine" not in json.loads(record.read_text())["request"]
    assert predict("--engine", "torch")[1].startswith("2 done before")
    code, told = predict("--engine", "onnx", "--precision", "fp32")
    assert code == 1
    assert "kept s0: made with other" in told
    assert "engine" in told
    assert predict("--engine", "onnx", "--precision", "fp32", "--overwrite")[0] == 0
    info = json.loads(record.read_text())
    assert (info["engine"], info["request"]["engine"]) == ("onnx", "onnx")
    assert predict("--engine", "onnx", "--precision", "fp32")[1].startswith("2 done before")
    assert predict()[0] == 1


def test_engine_without_the_format_is_wrong_at_once(predict):
    code, told = predict("--precision", "int8")
    assert code != 0
    assert "expected one of fp32, bf16, fp16 for the engine torch, got 'int8'" in told
