"""The command: what it writes of volumes and slices, what it keeps, and what it refuses."""

import json
import shutil

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from diffad.cli import main
from diffad.data.layouts.base import Entry
from diffad.registry import LAYOUTS
from tests.helpers.stable import PROMPT

QUICK = ["--inference-steps", "4", "--strength", "0.5", "--inner-steps", "1"]
TEXT = ["--prompt", PROMPT, "--word", "crack"]


def run(*words, out, model):
    return main(["synthesise", *map(str, words), "--model", str(model), "--out", str(out), *QUICK])


def read(path):
    return np.asarray(nib.load(path).dataobj)


def test_volumes_become_a_set_with_labels(scans, class_model, tmp_path):
    out = tmp_path / "out"
    assert run(scans, "--region", "_here", "--label", "1", out=out, model=class_model) == 0
    region = read(scans / "s0_here.nii.gz") > 0
    before, after = nib.load(scans / "s0.nii.gz"), nib.load(out / "scans" / "s0.nii.gz")
    assert np.array_equal(before.affine, after.affine)
    same = np.asarray(before.dataobj) == np.asarray(after.dataobj)
    assert same[~region].all()
    assert not same[region].all()
    label = read(out / "lesions" / "s0_lesion.nii.gz")
    assert label.any()
    assert not (label.astype(bool) & ~region).any()
    assert np.array_equal(read(out / "regions" / "s0_region.nii.gz") > 0, region)
    assert read(out / "scans" / "s0_brain_mask.nii.gz").any()
    assert (out / "s0_synthesis.png").read_bytes()[:4] == b"\x89PNG"
    facts = json.loads((out / "s0_synthesis.json").read_text())
    assert {
        "class": 1,
        "model": "tiny",
        "strength": 0.5,
        "seed": 0,
        "guidance": "classifier_free",
    }.items() <= facts.items()
    assert facts["region_ml"] == pytest.approx(region.sum() * 0.012)


def test_set_is_one_that_benchmarks_read(scans, class_model, tmp_path):
    out = tmp_path / "out"
    assert run(scans, "--region", "_here", "--label", "1", out=out, model=class_model) == 0
    listing = LAYOUTS.build("table").entries(out)
    assert listing.problems == []
    assert [entry.name for entry in listing.entries] == ["s0", "s1"]
    first = listing.entries[0]
    assert isinstance(first, Entry)
    assert [*first.images.values()] == [out / "scans" / "s0.nii.gz"]
    assert first.lesion == out / "lesions" / "s0_lesion.nii.gz"
    assert (first.brain, first.split) == (out / "scans" / "s0_brain_mask.nii.gz", "test")


def test_several_are_made_of_each_with_seeds_that_follow(scans, class_model, tmp_path):
    out = tmp_path / "out"
    words = [scans / "s0.nii.gz", "--region", "_here", "--label", "1", "--count", "2", "--seed", "5"]
    assert run(*words, out=out, model=class_model) == 0
    names = sorted(path.name for path in out.glob("*.json"))
    assert names == ["s0-01_synthesis.json", "s0-02_synthesis.json"]
    assert [json.loads((out / name).read_text())["seed"] for name in names] == [5, 6]
    first, second = (read(out / "scans" / f"s0-0{n}.nii.gz") for n in (1, 2))
    assert not np.array_equal(first, second)


def test_finished_scan_is_kept_and_another_way_is_refused(scans, class_model, tmp_path, capsys):
    out = tmp_path / "out"
    words = [scans / "s0.nii.gz", "--region", "_here", "--label", "1"]
    assert run(*words, out=out, model=class_model) == 0
    before = (out / "scans" / "s0.nii.gz").stat().st_mtime_ns
    assert run(*words, out=out, model=class_model) == 0
    assert (out / "scans" / "s0.nii.gz").stat().st_mtime_ns == before
    capsys.readouterr()
    assert run(*words, "--seed", "1", out=out, model=class_model) == 1
    assert (
        "expected a synthesis of the same files in the same way, found one with other seed"
        in capsys.readouterr().err
    )
    assert run(*words, "--seed", "1", "--overwrite", out=out, model=class_model) == 0


def test_damaged_result_is_made_again(scans, class_model, tmp_path):
    out = tmp_path / "out"
    words = [scans / "s0.nii.gz", "--region", "_here", "--label", "1"]
    assert run(*words, out=out, model=class_model) == 0
    whole = (out / "lesions" / "s0_lesion.nii.gz").read_bytes()
    (out / "lesions" / "s0_lesion.nii.gz").write_bytes(b"")
    assert run(*words, out=out, model=class_model) == 0
    assert np.array_equal(
        nib.Nifti1Image.from_bytes(__import__("gzip").decompress(whole)).get_fdata(),
        nib.load(out / "lesions" / "s0_lesion.nii.gz").get_fdata(),
    )


def test_bad_scan_ends_no_other(scans, class_model, tmp_path, capsys):
    (scans / "s0_here.nii.gz").unlink()
    assert run(scans, "--region", "_here", "--label", "1", out=tmp_path / "out", model=class_model) == 1
    assert (tmp_path / "out" / "scans" / "s1.nii.gz").is_file()
    told = capsys.readouterr()
    assert "painted 1 of 2 scans" in told.out
    assert "failed s0: " in told.err


def test_slice_is_painted_by_text_as_png(picture, stable_folder, tmp_path):
    pytest.importorskip("transformers")
    scan, mask = picture
    assert run(scan, "--region", mask, *TEXT, out=tmp_path / "out", model=stable_folder) == 0
    before = np.asarray(Image.open(scan))
    after = np.asarray(Image.open(tmp_path / "out" / "scans" / "slice.png"))
    region = np.asarray(Image.open(mask)) > 0
    assert after.dtype == np.uint8
    assert np.array_equal(before[~region], after[~region])
    assert (before[region] != after[region]).mean() > 0.5
    label = np.asarray(Image.open(tmp_path / "out" / "lesions" / "slice_lesion.png")) > 0
    assert label.shape == before.shape
    assert not (label & ~region).any()
    facts = json.loads((tmp_path / "out" / "slice_synthesis.json").read_text())
    assert (facts["word"], facts["nfe"]) == ("crack", 6)


def test_updates_of_a_step_are_counted_and_none_is_plain_image_to_image(picture, stable_folder, tmp_path):
    pytest.importorskip("transformers")
    scan, mask = picture
    for count, nfe in (("0", 4), ("3", 10)):
        words = [scan, "--region", mask, *TEXT, "--model", stable_folder, "--out", tmp_path / count]
        assert main(["synthesise", *map(str, words), *QUICK[:4], "--inner-steps", count]) == 0
        assert json.loads((tmp_path / count / "slice_synthesis.json").read_text())["nfe"] == nfe
    plain, moved = (Image.open(tmp_path / n / "scans" / "slice.png").tobytes() for n in ("0", "3"))
    assert plain != moved


def test_volume_is_painted_by_text_slice_by_slice(scans, stable_folder, tmp_path):
    pytest.importorskip("transformers")
    scan = scans / "s0.nii.gz"
    assert run(scan, "--region", "_here", *TEXT, out=tmp_path / "out", model=stable_folder) == 0
    region = read(scans / "s0_here.nii.gz") > 0
    changed = read(scan) != read(tmp_path / "out" / "scans" / "s0.nii.gz")
    assert not (changed & ~region).any()
    assert changed.any((0, 1)).tolist() == region.any((0, 1)).tolist()


def test_label_of_no_visible_change_is_empty_and_said(picture, stable_folder, tmp_path, capsys):
    pytest.importorskip("transformers")
    scan, mask = picture
    words = [scan, "--region", mask, *TEXT, "--visible", "0.999"]
    assert run(*words, out=tmp_path / "out", model=stable_folder) == 0
    assert not np.asarray(Image.open(tmp_path / "out" / "lesions" / "slice_lesion.png")).any()
    assert "nothing became visible in the region" in capsys.readouterr().err


def test_safety_checker_is_said(picture, stable_folder, tmp_path, capsys):
    pytest.importorskip("transformers")
    folder = shutil.copytree(stable_folder, tmp_path / "sd")
    index = json.loads((folder / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    (folder / "model_index.json").write_text(json.dumps(index))
    scan, mask = picture
    assert run(scan, "--region", mask, *TEXT, out=tmp_path / "out", model=folder) == 0
    assert "the safety checker of the folder is left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "--label: expected the number of a class, or a prompt"),
        (["--label", "0"], 2, "--label: expected a class of at least 1"),
        (["--prompt", "a crack"], 2, "--word: expected the word of the prompt"),
        (["--label", "1", "--strength", "2"], 2, "--strength: expected 0 to 1"),
        (["--label", "1", "--detail", "a large crack"], 2, "--detail: expected a prompt beside it"),
        (["--label", "4"], 1, "label: expected a class in 1..1 of the model, got 4"),
        (TEXT, 1, "expected Stable Diffusion for a --prompt, found a model of diffad"),
    ],
)
def test_wrong_usage_is_said(scans, class_model, tmp_path, capsys, words, code, message):
    quick = [] if "--strength" in words else QUICK
    command = [
        "synthesise",
        str(scans),
        *words,
        "--model",
        str(class_model),
        "--out",
        str(tmp_path / "out"),
        *quick,
    ]
    assert main(command) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_word_that_is_not_in_the_prompt_is_refused_before_any_scan(scans, stable_folder, tmp_path, capsys):
    pytest.importorskip("transformers")
    words = [scans, "--prompt", PROMPT, "--word", "hole"]
    assert run(*words, out=tmp_path / "out", model=stable_folder) == 1
    assert "word: expected a word of the prompt" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_missing_or_wrong_models_are_refused(scans, stable_folder, tmp_path, capsys):
    assert run(scans, *TEXT, out=tmp_path / "out", model=tmp_path / "none") == 1
    assert "expected a folder of Stable Diffusion, found nothing of that name" in capsys.readouterr().err
    assert run(scans, "--label", "1", out=tmp_path / "out", model=stable_folder) == 1
    assert "expected a model of diffad for a --label, found Stable Diffusion" in capsys.readouterr().err
    assert main(["synthesise", str(scans), "--label", "1"]) == 2
    assert "--model: expected a model that knows classes" in capsys.readouterr().err


def test_single_slice_needs_a_region(picture, stable_folder, tmp_path, capsys):
    pytest.importorskip("transformers")
    assert run(picture[0], *TEXT, out=tmp_path / "out", model=stable_folder) == 1
    assert "expected a --region for a single slice, found none" in capsys.readouterr().err


def test_programs_are_told_all(scans, class_model, tmp_path, capsys):
    words = [scans / "s0.nii.gz", "--region", "_here", "--label", "1", "--json"]
    assert run(*words, out=tmp_path / "out", model=class_model) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (scan,) = [event for event in events if event["event"] == "scan"]
    assert {"outcome", "record", "label_ml", "region_ml", "seed", "nfe", "change", "warnings"} <= set(scan)
    (summary,) = [event for event in events if event["event"] == "summary"]
    assert summary["done"] == ["s0"]


def test_set_is_searched_and_scored(scans, class_model, tmp_path, capsys):
    out, maps = tmp_path / "out", tmp_path / "maps"
    assert run(scans, "--region", "_here", "--label", "1", out=out, model=class_model) == 0
    words = ["predict", out / "scans", "--mask", "_brain_mask", "--model", class_model, "--out", maps]
    assert main([*map(str, words)]) == 0
    scores = tmp_path / "scores.json"
    assert main(["evaluate", str(maps), "--masks", str(out / "lesions"), "--out", str(scores)]) == 0
    assert json.loads(scores.read_text())
