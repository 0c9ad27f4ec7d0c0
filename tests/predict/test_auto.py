"""Each scan of a cohort gets its own model, and what is finished is left alone."""

import inspect
import json
import shutil

import pytest

from diffad.cli.bids_app import bids_app_command
from diffad.cli.predict import predict_command
from diffad.distributed import Process
from diffad.inference.candidates import AUTO, list_candidates
from diffad.io.subjects import group_subjects
from diffad.predict import Cohort, Inputs, Options, predict_scans
from diffad.predict import run as running
from tests.helpers.cohorts import info, table, write_model
from tests.helpers.domains import know, write_knowing_model, write_scan

SCANS = {"a": "T1", "b": "FLAIR", "c": "T1"}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_knowing_model(folder / "t1", ["T1"])
    write_knowing_model(folder / "flair", ["FLAIR"])
    write_knowing_model(folder / "t2", ["T2"])
    return folder


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    for seed, (name, contrast) in enumerate(SCANS.items()):
        write_scan(folder / f"{name}.nii.gz", contrast, seed=seed)
    return folder


@pytest.fixture
def loads(monkeypatch):
    """Names of the models that are loaded."""
    names, load = [], running.load_model

    def record(name, device):
        names.append(name.rsplit("/", 1)[-1])
        return load(name, device)

    monkeypatch.setattr(running, "load_model", record)
    return names


def test_each_scan_gets_its_model_loaded_once(predict, models, heads, loads):
    words = {"scans": [heads], "model": f"auto:{models}"}
    code, text = predict("--slices", "20:22", **words)
    assert code == 0, text
    assert sorted(loads) == ["flair", "t1"]
    choices = {name: info(predict.out, name)["model_choice"] for name in SCANS}
    assert {n: c["name"] for n, c in choices.items()} == {n: str(models / SCANS[n].lower()) for n in SCANS}
    assert set(choices["a"]["distances"]) == {str(models / name) for name in ("t1", "t2", "flair")}
    assert f"b: the model {models / 'flair'}, as the scan lies within what it knows" in text
    assert "outside what the model knows" not in text
    digests = {name: info(predict.out, name)["request"]["model"] for name in SCANS}
    assert digests["a"] == digests["c"] != digests["b"]


def test_finished_scans_are_not_redone_nor_read(predict, models, heads, monkeypatch):
    words = {"scans": [heads], "model": f"auto:{models}"}
    predict("--slices", "20:22", **words)
    with monkeypatch.context() as patch:
        patch.setattr("diffad.predict.reader.load_scan", lambda *args, **options: pytest.fail("read"))
        code, text = predict("--slices", "20:22", **words)
        assert (code, "3 done before" in text) == (0, True), text
        # a model that was chosen is the same model when it is named
        assert (
            "done before" in predict("--slices", "20:22", scans=[heads / "a.nii.gz"], model=models / "t1")[1]
        )
        code, text = predict("--slices", "20:23", **words)
        assert "kept a: made with other slices" in text


def test_another_set_of_models_is_chosen_from_anew(predict, models, heads, tmp_path):
    scan = heads / "b.nii.gz"
    predict("--slices", "20:22", scans=[scan], model=models / "flair")
    assert "model_choice" not in info(predict.out, "b")
    assert "1 done before" in predict("--slices", "20:22", scans=[scan], model=f"auto:{models}")[1]
    code, text = predict("--slices", "20:22", scans=[scan], model=f"auto:{models / 't1'}")
    assert (code, "kept b: made with other model" in text) == (1, True)
    code, text = predict("--slices", "20:22", "--overwrite", scans=[scan], model=f"auto:{models / 't1'}")
    assert "it is the only model to choose from" in text
    assert "outside what the model knows" in text


def test_strict_refuses_a_scan_that_no_model_knows(predict, models, tmp_path):
    scan = write_scan(tmp_path / "odd.nii.gz", "T2", scale=0.7)
    code, text = predict("--slices", "14:16", "--strict", scans=[scan], model=f"auto:{models}")
    assert code == 1
    assert "outside what the model knows" in text
    code, text = predict("--slices", "14:16", scans=[scan], model=f"auto:{models}")
    assert code == 0
    assert "as the scan lies outside what each model knows, and nearest to this one" in text


def test_a_damaged_model_is_passed_over_and_a_lost_place_is_wrong(predict, models, heads, tmp_path):
    folder = shutil.copytree(models, tmp_path / "copies")
    (folder / "flair" / "network" / "config.json").write_text("{")
    scan = [heads / "a.nii.gz"]
    code, text = predict("--slices", "20:22", scans=scan, model=f"auto:{folder}")
    assert code == 0
    assert f"warning: passed over the model {folder / 'flair'}: " in text
    code, text = predict(scans=scan, model=f"auto:{tmp_path / 'nowhere'}")
    assert code != 0
    assert "nowhere" in text


def test_models_of_the_sequences_asked_for_are_chosen_from(models, heads, tmp_path):
    pairs = tmp_path / "pairs"
    for name, contrast in (("t1", "T1"), ("flair", "FLAIR")):
        write_scan(pairs / f"p_{name}.nii.gz", contrast)
    folder = shutil.copytree(models, tmp_path / "copies")
    domain = [know("T1").to_dict(), know("FLAIR").to_dict()]
    settings = {"domain": domain, "sequences": ["t1", "flair"]}
    write_model(folder / "pair", settings=settings, in_channels=2)
    inputs = Inputs([pairs], f"auto:{folder}", tmp_path / "out", sequences=["t1", "flair"], page=False)
    assert str(predict_scans(inputs, Options(slices=(20, 22)))) == "1 done"
    (path,) = (tmp_path / "out").glob("*_info.json")
    assert json.loads(path.read_text())["model_choice"]["name"] == str(folder / "pair")
    inputs = Inputs([pairs], f"auto:{folder / 'pair'}", tmp_path / "out", sequences=["flair", "t1"])
    with pytest.raises(ValueError, match="sequences: expected t1,flair"):
        predict_scans(inputs)


def test_processes_share_a_cohort(models, heads, tmp_path):
    subjects = group_subjects(sorted(heads.glob("*.nii.gz")))
    candidates, _ = list_candidates(f"auto:{models}")
    inputs = Inputs([heads], f"auto:{models}", tmp_path)
    options = Options(slices=(20, 22))
    for index in (1, 0):
        several = running._list_models(inputs, "cpu", True)
        assert [c.name for c in several.candidates] == [c.name for c in candidates]
        Cohort(several, tmp_path / "out", options, share=Process(index, 2)).run(subjects)
    assert sorted(table(tmp_path / "out")) == sorted(SCANS)
    assert {row["status"] for row in table(tmp_path / "out").values()} == {"ok"}


def test_the_choice_is_made_on_the_prepared_scan(predict, models, heads, monkeypatch):
    from diffad.predict import reader

    load, requests = reader.load_scan, []

    def prepare(paths, mask, options, region, *, reading):
        requests.append(options.modality)
        return load([heads / "b.nii.gz"], None, None, reading=reading)  # as if this came out

    monkeypatch.setattr(reader, "load_scan", prepare)
    words = ("--prepare", "--slices", "20:22")
    code, text = predict(*words, scans=[heads / "a.nii.gz"], model=f"auto:{models}")
    assert (code, requests) == (0, ["mri"]), text
    assert info(predict.out, "a")["model_choice"]["name"] == str(models / "flair")


@pytest.mark.parametrize("command", [predict_command, bids_app_command])
def test_a_model_is_chosen_for_each_scan_unless_one_is_named(command):
    assert inspect.signature(command).parameters["model"].default == AUTO
