"""A scan gets the model that knows scans like it."""

import json
import shutil

import numpy as np
import pytest
import torch

import diffad
from diffad.data.volume import Volume
from diffad.inference.candidates import Candidate, is_auto, list_candidates
from diffad.inference.choice import choose_candidate, looks_like_ct
from diffad.models.pretrained import list_shipped_models
from tests.helpers.domains import draw_scan, know, write_knowing_model, write_scan

MRI = {"intensity": "percentile", "sequences": None, "domain": None}


def propose(name, contrasts=(), channels=1, **settings):
    domain = (know(*contrasts),) * channels if contrasts else None
    return Candidate(name, channels, MRI | settings, domain)


@pytest.fixture(scope="module")
def candidates():
    return [
        propose("silent"),
        propose("broad", ["T1", "T2", "FLAIR"]),
        propose("t1", ["T1"]),
        propose("flair", ["FLAIR"]),
        propose("ct", intensity="ct"),
    ]


@pytest.mark.parametrize(("contrast", "name"), [("T1", "t1"), ("FLAIR", "flair"), ("T2", "broad")])
def test_the_narrowest_model_that_knows_a_scan_is_chosen(candidates, contrast, name):
    for models in (candidates, candidates[::-1]):
        choice = choose_candidate(*draw_scan(contrast, seed=40), models)
        assert choice.name == name
        assert choice.reason.startswith("the scan lies within what it knows")
        assert choice.distances["silent"] is None
        assert choice.distances[name] < 0.3


def test_of_two_that_know_a_scan_alike_the_one_of_fewer_contrasts_is_chosen():
    every = Candidate("any", 1, MRI, (know("T1"),), contrasts={"FLAIR": (know("FLAIR"),)})
    for models in ([every, propose("t1", ["T1"])], [propose("t1", ["T1"]), every]):
        choice = choose_candidate(*draw_scan("T1", seed=40), models)
        assert choice.name == "t1"
        assert choice.reason.endswith("which is narrower than what any knows")
    assert choose_candidate(*draw_scan("FLAIR", seed=40), models).name == "any"


@pytest.mark.parametrize(
    ("contrast", "name"), [("T1", "brain-t1"), ("FLAIR", "brain-any"), ("T2", "brain-any")]
)
def test_shipped_models_share_out_the_contrasts(contrast, name):
    assert choose_candidate(*draw_scan(contrast), list_candidates("auto")[0]).name == name


def test_a_model_of_another_contrast_comes_before_one_that_says_nothing(candidates):
    choice = choose_candidate(*draw_scan("T2"), [candidates[0], candidates[2]])
    assert choice.name == "t1"
    assert choice.reason.startswith("the scan lies outside what each model knows, and nearest to this one (")


def test_a_ct_goes_to_the_model_of_ct_whatever_it_says_it_knows(candidates):
    volume, brain = draw_scan("T1")
    data = np.where(brain.numpy(), 30 + 10 * volume.data, -1000).astype(np.float32)
    scan = Volume(data, volume.affine)
    assert looks_like_ct(scan, brain)
    assert not looks_like_ct(volume, brain)
    assert choose_candidate(scan, brain, candidates).name == "ct"
    assert choose_candidate(volume, brain, candidates, is_ct=True).name == "ct"
    assert choose_candidate(volume, brain, candidates[4:]).reason == "it is the only model to choose from"


def test_a_stripped_ct_is_told_by_values_below_0():
    volume, brain = draw_scan("T1")
    noise = 5 * np.random.default_rng(0).standard_normal(volume.data.shape)
    stripped = ((30 * volume.data + noise - 2) * brain.numpy()).astype(np.float32)
    assert looks_like_ct(Volume(stripped, volume.affine), brain)
    assert not looks_like_ct(Volume(np.abs(stripped), volume.affine), brain)


def test_a_name_of_another_sequence_counts_against_a_model(tmp_path):
    models = [propose("named", ["T1"], sequences=["t1"]), propose("broad", ["T1", "FLAIR"])]
    names = {"head_t1": "named", "head_flair": "broad", "head": "named"}
    for name, choice in names.items():
        scan = Volume.load(write_scan(tmp_path / f"{name}.nii.gz", "T1", seed=40))
        assert choose_candidate(scan, torch.from_numpy(scan.data[0] > 0), models).name == choice


def test_models_of_as_many_sequences_alone_are_chosen_from(candidates):
    volume, brain = draw_scan("T1", seed=40)
    pair = Volume(np.concatenate([volume.data] * 2), volume.affine)
    assert choose_candidate(pair, brain, [*candidates, propose("two", ["T1"], channels=2)]).name == "two"
    with pytest.raises(ValueError, match=r"expected 1 sequence\(s\), as the models take, got 2"):
        choose_candidate(pair, brain, candidates)


def test_shipped_models_are_the_default():
    candidates, warnings = list_candidates("auto")
    assert [c.name for c in candidates] == list(list_shipped_models())
    assert warnings == []
    assert is_auto("auto")
    assert is_auto("auto:models")
    assert not is_auto("automatic")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_knowing_model(folder / "t1", ["T1"])
    write_knowing_model(folder / "flair", ["FLAIR"])
    return folder


def test_a_function_names_the_model_of_a_scan(models, tmp_path):
    scan = write_scan(tmp_path / "a.nii.gz", "FLAIR", seed=3)
    name = diffad.choose_model(scan, models=f"auto:{models}")
    assert name == str(models / "flair")
    assert diffad.AnomalyPipeline.from_pretrained(name).config.domain
    assert diffad.choose_model(scan) in list_shipped_models()
    with pytest.raises(ValueError, match="expected a volume to choose a model for, got a tensor"):
        diffad.choose_model(torch.rand(1, 1, 16, 16))


def test_places_may_be_several_and_a_model_counts_once(models):
    candidates, _ = list_candidates(f"auto:{models}, {models / 't1'},shipped")
    names = [str(models / "flair"), str(models / "t1"), *list_shipped_models()]
    assert [c.name for c in candidates] == names


def test_a_damaged_model_is_passed_over_by_name(models, tmp_path):
    folder = shutil.copytree(models, tmp_path / "copies")
    weights = next((folder / "flair").rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-8])
    candidates, warnings = list_candidates(f"auto:{folder}")
    assert [c.name for c in candidates] == [str(folder / "t1")]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"passed over the model {folder / 'flair'}: ")
    with pytest.raises(ValueError, match="flair"):
        list_candidates(f"auto:{folder / 'flair'}")
    index = folder / "t1" / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"domain": [{"ranges": 3}]}))
    with pytest.raises(OSError, match="expected a model that can be used, found none; passed over"):
        list_candidates(f"auto:{folder}")


def test_places_without_models_are_refused_by_name(tmp_path):
    with pytest.raises(OSError, match="expected a folder that holds pipelines, found none"):
        list_candidates(f"auto:{tmp_path}")
    for place in ("nowhere", "some/hub"):
        with pytest.raises(OSError, match=place):
            list_candidates(f"auto:{place}")
    with pytest.raises(OSError, match="expected a name between the commas"):
        list_candidates("auto:shipped,")
