"""A scan is looked at by what a model sets for its contrast."""

import json

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.config import ConfigError, from_dict
from diffad.config.experiment import Config
from diffad.data.volume import Volume
from diffad.inference.candidates import Candidate
from diffad.inference.choice import choose_candidate
from diffad.inference.contrasts import check_contrasts, find_contrast
from diffad.inference.scope import ModelScope
from diffad.io.subjects import find_scans
from diffad.models.folder import ModelError
from diffad.predict import Inputs
from diffad.predict.calibrate import calibrate_on, save_model
from diffad.predict.listing import list_subjects
from diffad.predict.options import Options
from diffad.predict.provenance import hash_model
from diffad.predict.sensitivity import describe_lesions
from tests.helpers.domains import draw_scan, know, write_knowing_model, write_scan

BRIGHT = {"name": "l1", "dark": 0.0}
CONTRASTS = {"T2": {"score": BRIGHT}, "FLAIR": {"score": BRIGHT}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model"
    write_knowing_model(path)
    pipe = AnomalyPipeline.from_pretrained(path)
    pipe.register_to_config(contrasts=CONTRASTS, calibration=None, domain=None)
    pipe.save_pretrained(path)
    return path


@pytest.fixture
def pipe(folder):
    return AnomalyPipeline.from_pretrained(folder)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    out = tmp_path_factory.mktemp("healthy")
    for contrast in ("T1", "FLAIR"):
        for i in range(3):
            write_scan(out / f"{contrast.lower()}{i}.nii.gz", contrast, seed=i)
    return out


def list_healthy(folder, out):
    inputs = Inputs((folder,), "model", out / "out", None)
    return list_subjects(inputs, find_scans(inputs.sources, inputs.out, None)).subjects


@pytest.mark.parametrize("contrast", ["T1", "T2", "FLAIR"])
def test_a_contrast_is_told_by_the_order_of_tissues(contrast):
    assert find_contrast(*draw_scan(contrast)) == contrast


def test_the_name_counts_only_where_the_picture_says_nothing(tmp_path):
    volume, brain = draw_scan("T2")
    named = Volume.load(write_scan(tmp_path / "sub-1_T1w.nii.gz", "T2"))
    assert find_contrast(named, brain) == "T2"
    flat = Volume.load(write_scan(tmp_path / "sub-1_FLAIR.nii.gz", None, grain=0))
    assert find_contrast(flat, brain) == "FLAIR"
    assert find_contrast(Volume(flat.data, flat.affine), brain) == ""
    assert find_contrast(Volume(0 * volume.data, volume.affine), brain) == ""
    assert find_contrast(None, brain) == ""


def test_only_bright_residuals_count_where_a_contrast_says_so(pipe):
    for contrast, is_signed in (("T1", False), ("T2", True), ("FLAIR", True)):
        volume, brain = draw_scan(contrast)
        output = pipe(volume, brain.numpy())
        assert output.info["contrast"] == contrast
        assert output.info["score"] == (BRIGHT if is_signed else pipe.config.score)
        signed, both = (pipe(volume, brain.numpy(), score=s).anomaly_map for s in (BRIGHT, {"name": "l1"}))
        assert not torch.equal(signed, both)
        assert torch.equal(output.anomaly_map, signed if is_signed else both)


def test_a_part_of_the_call_comes_before_that_of_the_contrast(pipe):
    volume, brain = draw_scan("FLAIR")
    assert pipe(volume, brain.numpy(), score={"name": "l1"}).info["score"] == {"name": "l1"}


def test_a_model_without_contrasts_says_nothing_of_them(folder):
    pipe = AnomalyPipeline.from_pretrained(folder)
    pipe.register_to_config(contrasts=None)
    volume, brain = draw_scan("FLAIR")
    assert "contrast" not in pipe(volume, brain.numpy()).info
    assert pipe.adapt_to("FLAIR") is pipe


def test_each_contrast_is_calibrated_on_its_own_scans_and_kept(pipe, healthy, tmp_path):
    pipe.register_to_config(postprocess={**pipe.config.postprocess, "normalise": "place"})
    subjects = list_healthy(healthy, tmp_path)
    calibrations = calibrate_on(pipe, subjects, Options())
    assert {name: c.scans for name, c in calibrations.items()} == {"": 3, "FLAIR": 3}
    own = pipe.config.contrasts["FLAIR"]
    assert own["calibration"]["thresholds"] != pipe.config.calibration["thresholds"]
    assert own["domain"][0]["sequence"] == "FLAIR"
    assert pipe.config.domain[0]["sequence"] == "T1"
    table = describe_lesions(pipe, [s for s in subjects if "0" in s.name], Options())
    assert "FLAIR:" in table
    assert pipe.config.contrasts["FLAIR"]["calibration"]["sensitivity"]
    assert hash_model(pipe) != hash_model(AnomalyPipeline.from_pretrained(pipe.config["_name_or_path"]))
    save_model(pipe, tmp_path / "ours")
    again = AnomalyPipeline.from_pretrained(tmp_path / "ours")
    assert hash_model(again) == hash_model(pipe)
    volume, brain = draw_scan("FLAIR", seed=9)
    outputs = [p(volume, brain.numpy()) for p in (pipe, again)]
    assert torch.equal(outputs[0].anomaly_map, outputs[1].anomaly_map)
    assert outputs[1].info["threshold"] == own["calibration"]["thresholds"]["0.01"]
    assert outputs[1].info["domain"]["status"] == "inside"
    (tmp_path / "ours" / "healthy-FLAIR.safetensors").unlink()
    (tmp_path / "ours" / "digests.json").unlink()
    with pytest.raises(ModelError, match=r"healthy-FLAIR\.safetensors: expected the healthy maps"):
        AnomalyPipeline.from_pretrained(tmp_path / "ours")


def test_thresholds_of_one_contrast_are_not_taken_for_another(pipe, healthy, tmp_path):
    calibrate_on(pipe, list_healthy(healthy, tmp_path), Options())
    volume, brain = draw_scan("T2")
    output = pipe(volume, brain.numpy())
    assert output.info["threshold_rule"] == "otsu"
    assert output.info["domain"]["status"] == "unknown"


def test_a_scope_says_what_a_contrast_was_calibrated_on(folder):
    pipe = AnomalyPipeline.from_pretrained(folder)
    words = {"FLAIR": {"score": BRIGHT, "scope": {"calibrated_on": "painted heads"}}, "T2": {"score": BRIGHT}}
    pipe.register_to_config(contrasts=words, scope={"ages": "20 to 86", "calibrated_on": "58 slices"})
    scopes = [ModelScope.of(pipe.adapt_to(contrast).config) for contrast in ("", "FLAIR", "T2")]
    assert [scope.ages for scope in scopes] == ["20 to 86"] * 3
    assert [scope.calibrated_on for scope in scopes[:2]] == ["58 slices", "painted heads"]
    assert "58 slices" not in scopes[2].calibrated_on
    with pytest.raises(ValueError, match=r"scope\.ages"):
        check_contrasts({"T2": {"scope": {"ages": 3}}})


def test_a_choice_asks_what_a_model_knows_of_the_contrast():
    settings = {"intensity": "percentile", "sequences": None, "domain": None}
    broad = Candidate("broad", 1, settings, (know("T1", "T2", "FLAIR"),))
    split = Candidate("split", 1, settings, (know("T1"),), {"FLAIR": (know("FLAIR"),), "T2": None})
    for contrast, name in (("T1", "split"), ("FLAIR", "split"), ("T2", "broad")):
        assert choose_candidate(*draw_scan(contrast, seed=40), [broad, split]).name == name


@pytest.mark.parametrize(
    ("contrasts", "message"),
    [
        ({"PD": {}}, "expected T1, T2, FLAIR, got 'PD'"),
        ({"T2": {"space": {}}}, "contrasts.T2: expected noise"),
        ({"T2": 3}, "contrasts.T2: expected a mapping, got 3"),
        (["T2"], "expected contrasts as a mapping"),
    ],
)
def test_odd_settings_are_refused(contrasts, message, folder, tmp_path):
    with pytest.raises(ValueError, match=message):
        check_contrasts(contrasts)
    index = json.loads((folder / "model_index.json").read_text())
    copy = tmp_path / "copy"
    AnomalyPipeline.from_pretrained(folder).save_pretrained(copy)
    (copy / "model_index.json").write_text(json.dumps({**index, "contrasts": contrasts}))
    with pytest.raises(ModelError, match="contrasts"):
        AnomalyPipeline.from_pretrained(copy)


def test_a_config_names_contrasts_and_their_parts():
    values = {
        "name": "x",
        "data": {"name": "labels"},
        "model": {"name": "unet2d"},
        "noise": {"name": "gaussian"},
    }
    config = from_dict(Config, {**values, "contrasts": CONTRASTS})
    assert config.to_dict()["contrasts"]["T2"]["score"] == BRIGHT
    assert "contrasts" not in from_dict(Config, values).to_dict()
    for contrasts in ({"PD": {}}, {"T2": {"calibration": {"name": "x"}}}):
        with pytest.raises(ConfigError, match="contrasts"):
            from_dict(Config, {**values, "contrasts": contrasts})
