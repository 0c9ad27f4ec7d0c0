"""Records that come back from disk are looked at before they are used."""

import json
import time

import pytest
import torch

from diffad.benchmark import storage
from diffad.benchmark.methods import Prediction
from diffad.benchmark.score import load_metrics
from diffad.data.items import DataError
from diffad.data.layouts.medianomaly import MedianomalyJson
from diffad.data.layouts.table import Table
from diffad.data.phantom.plan import PhantomOptions
from diffad.data.phantom.write import make_phantoms
from diffad.inference.lesions import Lesion, read_lesions, write_lesions
from diffad.io.shapes import is_number, is_text, list_of, mapping_of, optional, record_of
from diffad.training.curves import save_curves
from diffad.training.journal import _parse_step

DEEP = "[" * 100_000
LOG = '{"step": 1, "loss": 1, "val_loss": 1, "val_mae_²": 1}'
LESION = Lesion(1, 2.5, 300, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (7.0, 8.0, 9.0), 0.3, 0.7, (4, 5, 6), None)
METRICS = {
    "fingerprint": "f",
    "kinds": {"all": {"dice": [0.3, 0.2, 0.4]}},
    "subjects": {"s": [0.3]},
    "curves": {"roc": [[0, 1], [0, 1]]},
    "warnings": [],
}


def test_shapes_tell_values_apart():
    shape = record_of(a=list_of(is_number, (1, 3)), b=mapping_of(is_text), c=optional(is_number))
    good = {"a": [1], "b": {"x": "y"}, "c": None}
    assert shape(good)
    assert shape({**good, "a": [1.5, float("nan"), 2], "more": 5})
    bad = (
        {"a": [1, 2]},
        {"a": [True]},
        {"a": [10**400]},
        {"a": 1},
        {"b": {"x": 1}},
        {"b": ["y"]},
        {"c": "1"},
    )
    assert not any(shape({**good, **change}) for change in bad)
    assert not shape([good])
    assert not shape({"a": [1], "b": {}}.copy())


@pytest.mark.parametrize(
    ("key", "value"),
    [("volume_ml", ""), ("centre_mm", [1, 2]), ("centre_mm", [[1, 2, 3]] * 3), ("peak", True), ("more", 1)],
)
def test_lesions_with_a_value_that_is_none_of_theirs_are_refused(tmp_path, key, value):
    path = write_lesions([LESION, LESION], tmp_path, "s")["json"]
    table = json.loads(path.read_text())
    table["lesions"][1][key] = value
    path.write_text(json.dumps(table))
    with pytest.raises(ValueError, match=r"s_lesions.json: expected lesions"):
        read_lesions(path)


@pytest.mark.parametrize("text", ['{"lesions": 5}', '{"lesions": [5]}', "[]", DEEP])
def test_lesions_that_are_no_table_are_refused(tmp_path, text):
    (tmp_path / "s_lesions.json").write_text(text)
    with pytest.raises(ValueError, match=r"s_lesions.json: expected lesions"):
        read_lesions(tmp_path / "s_lesions.json")


@pytest.mark.parametrize(
    "change",
    [
        {"kinds": 5},
        {"kinds": {"all": {"dice": [1] * 9}}},
        {"subjects": {"s": [[1]]}},
        {"subjects": {"s": []}},
        {"curves": {"roc": [[1]]}},
    ],
)
def test_metrics_of_another_shape_are_refused(tmp_path, change):
    (tmp_path / "m.json").write_text(json.dumps(METRICS))
    assert load_metrics(tmp_path / "m.json").subjects == {"s": [0.3]}
    (tmp_path / "m.json").write_text(json.dumps({**METRICS, **change}))
    with pytest.raises(ValueError, match=r"m.json: expected metrics"):
        load_metrics(tmp_path / "m.json")


def test_maps_without_their_numbers_are_broken_and_other_tensors_are_named(tmp_path):
    path = tmp_path / "m.safetensors"
    prediction = Prediction([torch.rand(3, 4)], [], [], [0.5], 1, 2, 3.0)
    storage.store_maps(path, prediction, {"fingerprint": "f"})
    assert storage.check_state(path, "f") == "finished"
    info = json.loads(path.with_suffix(".json").read_text())
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(OSError, match=r"m.safetensors: expected maps"):
        storage.load_maps(path)
    del info["nfe"]
    path.with_suffix(".json").write_text(json.dumps(info))
    assert storage.check_state(path, "f") == "broken"


def test_a_name_that_no_file_can_have_is_one_missing_file(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_bytes(b"picture")
    (tmp_path / "data.json").write_text(json.dumps({"test": {"0": ["a.png", "x" * 9000]}}))
    listing = MedianomalyJson().entries(tmp_path)
    assert [entry.name for entry in listing.entries] == ["test-a"]
    assert len(listing.problems) == 1
    assert len(listing.problems[0]) <= 2000
    (tmp_path / "table.csv").write_text(f"path,label\nimages/a.png,0\n{'x' * 300}.png,1\n")
    listing = Table().entries(tmp_path)
    assert [entry.name for entry in listing.entries] == ["a"]
    assert "expected the file" in listing.problems[0]


@pytest.mark.parametrize("table", [{"test": {"0": [5]}}, {"test": {"0": [["b.png"]]}}, {"test": 5}, [], None])
def test_a_table_of_splits_with_other_values_is_refused(tmp_path, table):
    (tmp_path / "data.json").write_text(json.dumps(table))
    with pytest.raises(DataError, match=r"data.json: expected splits"):
        MedianomalyJson().entries(tmp_path)


@pytest.mark.parametrize(
    "line", [DEEP, '{"step": 1e999}', '{"step": [1]}', "5", "null", '{"step": 1, "loss": "x"}', LOG]
)
def test_a_broken_line_of_a_log_does_not_end_a_run(tmp_path, line):
    assert _parse_step(line) in (0, 1)
    (tmp_path / "log.jsonl").write_bytes(b"\xff\n" + line.encode())
    assert save_curves(tmp_path / "log.jsonl", tmp_path / "curves.png").stat().st_size
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('\n{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.4}\n')
    assert save_curves(tmp_path / "log.jsonl", tmp_path / "curves.png").stat().st_size


def test_a_log_of_very_many_levels_is_drawn_in_time(tmp_path):
    line = {"step": 1, "loss": 0.5, "val_loss": 0.4, **{f"val_mae_{i}": 0.1 for i in range(20_000)}}
    (tmp_path / "log.jsonl").write_text(json.dumps(line) + "\n")
    start = time.monotonic()
    save_curves(tmp_path / "log.jsonl", tmp_path / "curves.png")
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("phantoms", ["x", 5, {"age": "x" * 100_000}, DEEP])
def test_a_damaged_description_of_phantoms_is_named_in_a_line(tmp_path, phantoms):
    text = phantoms if phantoms is DEEP else json.dumps({"Phantoms": phantoms})
    (tmp_path / "dataset_description.json").write_text(text)
    with pytest.raises(ValueError, match="choose another folder") as error:
        make_phantoms(tmp_path, 1, PhantomOptions())
    assert len(str(error.value)) < 2000
