import csv
import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

pytest.importorskip("nilearn")

from diffad.config import SpaceConfig
from diffad.data.phantom import PhantomOptions, make_phantom, make_phantoms
from diffad.data.phantom import write as writing
from diffad.data.phantom.plan import plan_subject
from diffad.data.phantom.write import BRAIN
from diffad.data.volumes import Volumes
from diffad.evaluation.predictions import LESION
from diffad.evaluation.reading import find_mask
from diffad.io.subjects import find_scans, find_subject_mask, group_subjects, parse_mask
from tests.helpers.disk import fill_disk

OPTIONS = PhantomOptions(modalities=("t1", "flair"), spacing=8.0)
MASK = "*_desc-brain_mask.nii.gz"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("phantoms") / "set"
    make_phantoms(out, 4, OPTIONS)
    return out


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_layout_is_that_of_bids(folder):
    rows = list(csv.DictReader((folder / "participants.tsv").open(), delimiter="\t"))
    assert [(r["participant_id"], r["group"], r["split"]) for r in rows] == [
        ("sub-001", "healthy", "train"),
        ("sub-002", "healthy", "val"),
        ("sub-003", "healthy", "test"),
        ("sub-004", "lesioned", "test"),
    ]
    assert json.loads((folder / "dataset_description.json").read_text())["Phantoms"]["spacing"] == 8
    files = {p for p in contents(folder) if p.startswith("test/sub-004/")}
    names = ("T1w", "FLAIR", "desc-brain_mask")
    assert files == {f"test/sub-004/anat/sub-004_{name}.nii.gz" for name in names}
    assert not [p for p in folder.iterdir() if p.name.startswith(".")]


def test_files_hold_the_phantom_in_place(folder):
    made = make_phantom(0, 3, OPTIONS.modalities, 8.0, plan_subject(3, OPTIONS).kind)
    for path, expected in {
        "test/sub-004/anat/sub-004_FLAIR.nii.gz": made.images["flair"],
        "test/sub-004/anat/sub-004_desc-brain_mask.nii.gz": made.brain,
        "lesions/sub-004_lesion.nii.gz": made.lesion,
    }.items():
        image = nib.load(folder / path)
        np.testing.assert_array_equal(np.asarray(image.dataobj), expected)
        np.testing.assert_array_equal(image.affine, made.affine)
        assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 2


def test_training_sees_healthy_subjects_only(folder):
    space = SpaceConfig(size=32)
    for split, name in (("train", "sub-001"), ("val", "sub-002")):
        data = Volumes(str(folder), split, space, mask=MASK, sequences=("T1w", "FLAIR"))
        assert {data[i].subject for i in range(len(data))} == {name}
        assert data[0].image.shape == (2, 32, 32)


def test_predict_finds_scans_and_brains_and_evaluate_finds_lesions(folder):
    ending = parse_mask("_desc-brain_mask")
    search = find_scans([folder / "test"], mask=ending)
    for sequences, names in (
        (("T1w", "FLAIR"), ["sub-003", "sub-004"]),
        ((), ["sub-003_FLAIR", "sub-003_T1w", "sub-004_FLAIR", "sub-004_T1w"]),
    ):
        result = group_subjects(search.scans, sequences)
        assert [s.name for s in result] == names
        for subject in result:
            assert find_subject_mask(subject, ending).name == f"{subject.name[:7]}_desc-brain_mask.nii.gz"
            lesion = find_mask(subject.name, folder / "lesions", LESION)
            lesioned = bool(np.asarray(nib.load(lesion).dataobj).any())
            assert lesioned == subject.name.startswith("sub-004")


def test_small_set_is_the_start_of_a_larger_one_which_goes_on_from_it(folder, tmp_path):
    small = tmp_path / "small"
    assert [p.name for p in make_phantoms(small, 2, OPTIONS)] == ["sub-001", "sub-002"]
    assert [p.name for p in make_phantoms(small, 4, OPTIONS)] == ["sub-003", "sub-004"]
    assert make_phantoms(small, 3, OPTIONS) == []
    ours, theirs = contents(small), contents(folder)
    ours.pop("README"), theirs.pop("README")  # they name their folder
    assert ours == theirs


def test_a_stopped_run_leaves_whole_subjects_and_goes_on(folder, tmp_path, monkeypatch):
    out, calls = tmp_path / "stopped", []

    def stop(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return make_phantom(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(writing, "make_phantom", stop)
        with pytest.raises(KeyboardInterrupt):
            make_phantoms(out, 4, OPTIONS)
    assert [p.name for p in writing.list_finished_subjects(out, OPTIONS)] == ["sub-001"]
    assert "sub-002" not in (out / "participants.tsv").read_text()
    assert len(make_phantoms(out, 4, OPTIONS)) == 3
    assert (out / "participants.tsv").read_bytes() == (folder / "participants.tsv").read_bytes()


def test_a_write_that_fails_leaves_no_half_subject(tmp_path, monkeypatch):
    out = tmp_path / "full"
    fill_disk(monkeypatch, f"*{BRAIN}.nii.gz")
    with pytest.raises(OSError, match="No space"):
        make_phantoms(out, 1, OPTIONS)
    assert sorted(p.name for p in out.iterdir()) == ["README", "dataset_description.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "set: expected phantoms with seed 1, found seed 0"),
        ({"modalities": ("t2",)}, "with modalities t2, found modalities t1/flair"),
        ({"lesioned": 0.5}, "with lesioned 0.5, found lesioned 0.25"),
    ],
)
def test_other_options_in_the_same_folder_are_refused(folder, change, message):
    before = contents(folder)
    with pytest.raises(ValueError, match=message):
        make_phantoms(folder, 4, replace(OPTIONS, **change))
    assert contents(folder) == before


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(ValueError, match="expected a new folder, or one of phantoms, found other files"):
        make_phantoms(tmp_path, 1, OPTIONS)
    (tmp_path / "dataset_description.json").write_text('{"Name": "another"}')
    with pytest.raises(ValueError, match="expected the options of phantoms"):
        make_phantoms(tmp_path, 1, OPTIONS)
    assert len(list(tmp_path.iterdir())) == 2


def test_no_subjects_are_refused_before_anything_is_made(tmp_path):
    with pytest.raises(ValueError, match="at least 1 subject, got 0"):
        make_phantoms(tmp_path / "none", 0, OPTIONS)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.3, 0.5, 1.0])
def test_share_of_lesioned_subjects_holds_in_every_prefix(share):
    options = PhantomOptions(lesioned=share, kinds=("plaques", "ischaemia"))
    plans = [plan_subject(n, options) for n in range(60)]
    sick = [p for p in plans if p.kind]
    assert all(sum(p.kind is not None for p in plans[:n]) == int(n * share + 1e-9) for n in range(61))
    assert {p.split for p in sick} <= {"test"}
    assert abs(sum(p.kind == "plaques" for p in sick) * 2 - len(sick)) <= 1
    splits = {p.split for p in plans if not p.kind}
    assert splits == (set() if share == 1 else {"train", "val", "test"} if share else {"train", "val"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modalities": ("pet",)}, "modalities among t1.*got pet"),
        ({"kinds": ("cyst",)}, "kinds of lesions among ischaemia.*got cyst"),
        ({"lesioned": 1.5}, r"fraction .* in \[0, 1\], got 1.5"),
        ({"seed": -1}, "seed of at least 0"),
        ({"spacing": 0.1}, "spacing of 0.5 to 8"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PhantomOptions(**options)
