"""Models go to a hub and come back whole: healthy maps and card too, and no code."""

import pytest
import torch
import yaml
from diffusers import DiffusionPipeline

from diffad import AnomalyPipeline
from diffad.inference.healthy import FILE, HealthyMaps
from diffad.inference.place_sums import GRID
from tests.helpers.cohorts import write_model
from tests.helpers.hub import serve_hub

CALIBRATION = {"thresholds": {"0.01": 0.25}, "scans": 4, "pixels": 99}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with serve_hub(monkeypatch, tmp_path / "cache") as hub:
        yield hub


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    plain = AnomalyPipeline.from_pretrained(write_model(tmp_path_factory.mktemp("exchange") / "m"))
    settings = {"calibration": CALIBRATION, "postprocess": {"normalise": "place"}}
    parts = {name: getattr(plain, name) for name in ("network", "scheduler")}
    pipe = AnomalyPipeline(
        **parts, **settings, sampler={"name": "oneshot", "levels": [20]}, space={"size": 32}
    )
    pipe.healthy = HealthyMaps(torch.rand(GRID), torch.rand(GRID), 0.1, 3)
    return pipe


def load(name, tmp_path, kind=AnomalyPipeline, **options):
    return kind.from_pretrained(name, cache_dir=tmp_path / "cache", **options)


def test_model_comes_back_with_its_healthy_maps_card_and_checksums(hub, pipe, tmp_path):
    assert pipe.push_to_hub("lab/mine", tags=["t1"]).startswith("http://127.0.0.1")
    files = hub.repos["lab/mine"]["main"]
    assert {FILE, "digests.json", "README.md", "preprocessing.json", "model_index.json"} <= set(files)
    front = yaml.safe_load(files["README.md"].decode().split("---")[1])
    assert front["library_name"] == "diffad"
    assert {"anomaly-detection", "brain-mri", "t1"} <= set(front["tags"])
    assert 'from_pretrained("lab/mine")' in files["README.md"].decode()
    again = load("lab/mine", tmp_path)
    assert again.healthy.scans == 3
    assert torch.equal(again.healthy.mean, load("lab/mine", tmp_path, DiffusionPipeline).healthy.mean)


def test_door_of_diffusers_fetches_the_healthy_maps_too(hub, pipe, tmp_path):
    pipe.push_to_hub("lab/mine")
    assert load("lab/mine", tmp_path, DiffusionPipeline).healthy.scans == 3
    assert any(request.endswith(FILE) for request in hub.requests)


def test_revision_is_a_branch_that_is_made_and_loaded(hub, pipe, tmp_path):
    pipe.push_to_hub("mine", revision="v2", commit_message="Second")
    assert FILE in hub.repos["tester/mine"]["v2"]
    assert FILE not in hub.repos["tester/mine"]["main"]
    assert load("tester/mine", tmp_path, revision="v2").healthy.scans == 3
    with pytest.raises(OSError, match=r"tester/mine: expected .*, found no revision v3 of one"):
        load("tester/mine", tmp_path, revision="v3")


def test_card_of_a_person_stays_on_the_hub(hub, pipe):
    hub.create("lab/mine")
    hub.write("lab/mine", "main", {"README.md": b"mine"})
    pipe.push_to_hub("lab/mine")
    assert hub.repos["lab/mine"]["main"]["README.md"] == b"mine"


def test_what_is_nowhere_is_one_line(hub, tmp_path):
    with pytest.raises(OSError, match=r"^lab/none: expected a model folder, .*, found none [^\n]*$"):
        load("lab/none", tmp_path)


def test_code_is_written_on_demand_and_never_fetched(hub, pipe, tmp_path):
    pipe.push_to_hub("lab/thin", custom_pipeline=True)
    files = hub.repos["lab/thin"]["main"]
    assert {"pipeline.py", "network/diffad.models.unet2d.py"} <= set(files)
    load("lab/thin", tmp_path)
    assert not list((tmp_path / "cache").rglob("*.py"))


def test_saving_may_push_at_once(hub, pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "folder", push_to_hub=True, repo_id="lab/saved", private=True)
    assert set(hub.repos["lab/saved"]["main"]) == {
        str(path.relative_to(tmp_path / "folder"))
        for path in (tmp_path / "folder").rglob("*")
        if path.is_file()
    }


def test_thin_files_serve_diffusers_where_diffad_is_not_imported(pipe, tmp_path, monkeypatch):
    import diffusers

    for module in (diffusers, diffusers.pipelines):
        monkeypatch.delitem(vars(module), "__getattr__")
    monkeypatch.setattr(diffusers.utils.dynamic_modules_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(tmp_path / "modules")
    pipe.save_pretrained(tmp_path / "m", custom_pipeline=True)
    place = str(tmp_path / "m")
    with pytest.raises(AttributeError, match="AnomalyPipeline"):
        DiffusionPipeline.from_pretrained(place)
    again = DiffusionPipeline.from_pretrained(place, custom_pipeline=place, trust_remote_code=True)
    assert type(again) is AnomalyPipeline
