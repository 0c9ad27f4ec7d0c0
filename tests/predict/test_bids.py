"""BIDS in, BIDS derivative out; what a data set lacks is told."""

import json

import numpy as np
import pytest

from diffad.evaluation.predictions import collect_predictions
from diffad.io.naming import Naming, find_maps
from tests.helpers.cohorts import brain, inside, load, table, write


@pytest.fixture
def tree(tmp_path):
    """Two subjects, one with sessions; one has no scan, and there are files of other kinds."""
    root = tmp_path / "study"
    write(root / "sub-01/anat/sub-01_T1w.nii.gz", brain(0))
    write(root / "sub-02/ses-a/anat/sub-02_ses-a_run-1_T1w.nii.gz", brain(1))
    (root / "sub-03/anat").mkdir(parents=True)
    write(root / "sub-01/func/sub-01_task-rest_bold.nii.gz", brain(2))
    write(root / "derivatives/other/sub-01/anat/sub-01_T1w.nii.gz", brain(3))
    (root / "dataset_description.json").write_text(json.dumps({"Name": "x", "BIDSVersion": "1.9.0"}))
    return root


def made(out):
    return sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())


def test_derivative_keeps_folders_and_entities(predict, tree):
    code, told = predict(scans=[tree])
    assert (code, "2 done" in told) == (1, True)
    files = made(predict.out)
    assert "sub-01/anat/sub-01_desc-anomaly_T1w.nii.gz" in files
    assert "sub-01/anat/sub-01_desc-anomaly_T1w.json" in files
    assert "sub-01/anat/sub-01_mod-T1w_desc-anomaly_mask.nii.gz" in files
    assert "sub-02/ses-a/anat/sub-02_ses-a_run-1_desc-twin_T1w.nii.gz" in files
    about = json.loads((predict.out / "dataset_description.json").read_text())
    assert about["DatasetType"] == "derivative"
    assert about["GeneratedBy"][0]["Name"] == "diffad"


def test_gap_in_the_tree_is_told_and_the_rest_is_done(predict, tree):
    code, told = predict(scans=[tree])
    assert "failed sub-03: expected every sequence, found no scan" in told
    assert table(predict.out)["sub-03"]["status"] == "failed"
    assert predict("--on-failure", "all", scans=[tree])[0] == 0
    assert predict("--on-failure", "never", scans=[tree])[0] == 0
    assert code == 1


def test_second_run_skips_what_is_done(predict, tree):
    predict(scans=[tree])
    assert predict(scans=[tree])[1].count("2 done before") == 1


def test_mixed_sequences_are_told(predict, tree):
    write(tree / "sub-01/anat/sub-01_FLAIR.nii.gz", brain(5))
    assert "mixed sequences: 2 T1w, 1 FLAIR" in predict(scans=[tree])[1]
    assert "warning: mixed" not in predict("--sequences", "T1w", scans=[tree])[1]


def test_own_derivative_in_the_tree_is_not_read_as_scans(predict, tree, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "out", tree / "derivatives" / "diffad", raising=False)
    _, told = predict("--out", str(predict.out), scans=[tree])
    assert "2 done" in told
    assert "2 done before" in predict("--out", str(predict.out), scans=[tree])[1]


def test_plain_layout_can_be_asked_for(predict, tree):
    predict("--layout", "plain", scans=[tree / "sub-01" / "anat"])
    assert "sub-01_T1w_anomaly.nii.gz" in made(predict.out)
    assert "layout: expected scans of one folder" in predict("--layout", "bids")[1]


def test_evaluate_finds_maps_of_a_derivative(predict, tree, tmp_path):
    predict(scans=[tree])
    lesion = np.uint8(inside())
    lesion[:12] = 0
    write(tmp_path / "truth" / "sub-01_lesion.nii.gz", lesion)
    (sample,) = collect_predictions(predict.out, tmp_path / "truth").read()
    assert sample.name == "sub-01_T1w"
    assert sample.counted.sum() == inside().sum()
    assert sample.detected is not None


def test_links_out_of_the_tree_are_followed_and_broken_ones_told(predict, tree, tmp_path):
    far = write(tmp_path / "annex" / "x.nii.gz", brain(7))
    (tree / "sub-03/anat/sub-03_T1w.nii.gz").symlink_to(far)
    (tree / "sub-04/anat").mkdir(parents=True)
    (tree / "sub-04/anat/sub-04_T1w.nii.gz").symlink_to(tmp_path / "gone.nii.gz")
    (tree / "loop").symlink_to(tree)
    code, told = predict(scans=[tree])
    assert (code, "3 done" in told, "failed sub-04_T1w" in told) == (1, True, True)
    (naming,) = [n for n in find_maps(predict.out).values() if n.name == "sub-03_T1w"]
    assert naming == Naming("sub-03_T1w", naming.folder, True)
    assert load(predict.out / naming.path("seen")).any()


def test_names_with_spaces_and_unicode(predict, tmp_path):
    write(tmp_path / "Köpfe <b>" / "größe 1 & ü.nii.gz", brain(0))
    code, _ = predict(scans=[tmp_path / "Köpfe <b>"])
    assert code == 0
    assert (predict.out / "größe 1 & ü_anomaly.nii.gz").is_file()
    assert "größe 1 &amp; ü" in (predict.out / "index.html").read_text(encoding="utf-8")
