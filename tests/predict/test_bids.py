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
    assert "sub-01/anat/sub-01_desc-anomalyT1w_mask.nii.gz" in files
    assert "sub-02/ses-a/anat/sub-02_ses-a_run-1_desc-twin_T1w.nii.gz" in files
    about = json.loads((predict.out / "dataset_description.json").read_text())
    assert about["DatasetType"] == "derivative"
    assert about["GeneratedBy"][0]["Name"] == "diffad"


def test_gap_in_the_tree_is_told_and_the_rest_is_done(predict, tree):
    code, told = predict(scans=[tree])
    assert told.count("sub-03") == 1
    assert "1 of 3 subjects has no scan in anat/: sub-03" in told
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
    assert (code, "3 done" in told) == (1, True)
    assert "1 of 4 subjects has no content: fetch it first" in told
    assert "no content" in table(predict.out)["sub-04_T1w"]["error"]
    assert f"links to folders that were searched already: {tree / 'loop'}" in told
    (naming,) = [n for n in find_maps(predict.out).values() if n.name == "sub-03_T1w"]
    assert naming == Naming("sub-03_T1w", naming.folder, True)
    assert load(predict.out / naming.path("seen")).any()


def test_names_with_spaces_and_unicode(predict, tmp_path):
    write(tmp_path / "Köpfe <b>" / "größe 1 & ü.nii.gz", brain(0))
    code, _ = predict(scans=[tmp_path / "Köpfe <b>"])
    assert code == 0
    assert (predict.out / "größe 1 & ü_anomaly.nii.gz").is_file()
    assert "größe 1 &amp; ü" in (predict.out / "index.html").read_text(encoding="utf-8")


def test_linked_subject_that_is_not_there_has_no_content(predict, tree):
    (tree / "sub-04").symlink_to("../store/sub-04")
    _, told = predict("--no-page", scans=[tree])
    assert "1 of 4 subjects has no content: fetch it first" in told
    assert f"passed over links that lead nowhere: {tree / 'sub-04'}" in told


def test_subjects_without_the_sequence_are_told_once_with_their_number(predict, tree):
    write(tree / "sub-03/anat/sub-03_T2w.nii.gz", brain(5))
    write(tree / "sub-02/ses-b/anat/sub-02_ses-b_FLAIR.nii.gz", brain(6))
    code, told = predict("--sequences", "T1w", "--no-page", scans=[tree])
    assert (code, "2 done, 2 failed" in told) == (1, True)
    assert "2 of 4 subjects have no T1w: sub-02_ses-b, sub-03" in told
    assert (told.count("sub-03"), told.count("sub-02_ses-b")) == (1, 1)
    assert table(predict.out)["sub-03"]["error"] == "no T1w"


def test_row_of_a_finished_scan_stays_when_its_content_is_dropped(predict, tree):
    predict("--no-page", scans=[tree])
    scan = tree / "sub-01/anat/sub-01_T1w.nii.gz"
    scan.unlink()
    scan.symlink_to("../../.git/annex/objects/x")
    assert "1 of 3 subjects has no content" in predict("--no-page", scans=[tree])[1]
    assert table(predict.out)["sub-01_T1w"]["status"] == "ok"


def test_sessions_whose_names_do_not_say_so_have_rows_and_files_of_their_own(predict, tmp_path):
    root = tmp_path / "tree"
    for k in (1, 2):
        write(root / f"sub-001/ses-{k}/anat/sub-001_T1w.nii.gz", brain(k))
    (root / "dataset_description.json").write_text("{}")
    assert predict("--no-page", scans=[root])[0] == 0
    assert list(table(predict.out)) == ["sub-001_ses-1_T1w", "sub-001_ses-2_T1w"]
    maps = [str(p.relative_to(predict.out)) for p in find_maps(predict.out)]
    assert maps == [f"sub-001/ses-{k}/anat/sub-001_ses-{k}_desc-anomaly_T1w.nii.gz" for k in (1, 2)]


def test_scans_of_one_name_in_two_folders_of_a_data_set_are_told_apart(predict, tmp_path):
    root = tmp_path / "tree"
    for part in ("train", "test"):
        write(root / part / "sub-1/anat/sub-1_T1w.nii.gz", brain(1))
    (root / "dataset_description.json").write_text("{}")
    assert predict("--no-page", scans=[root])[0] == 0
    assert sorted(table(predict.out)) == ["sub-1_desc-test_T1w", "sub-1_desc-train_T1w"]
    assert len(find_maps(predict.out)) == 2


def test_derived_files_of_a_data_set_are_no_scans_unless_they_are_named(predict, tree):
    anat = tree / "sub-01/anat"
    names = ("mod-T1w_defacemask", "part-phase_T1w", "dseg", "label-GM_probseg", "desc-brain_mask")
    files = [write(anat / f"sub-01_{name}.nii.gz", brain(9)) for name in names]
    assert "2 done" in predict("--no-page", scans=[tree])[1]
    assert "1 done" in predict("--no-page", scans=[files[1]])[1]


def test_pointers_and_broken_links_of_a_plain_folder_are_counted(predict, cohort):
    (cohort / "s2.nii.gz").write_text("/annex/objects/MD5E-s5--0.nii.gz\n")
    (cohort / "s3.nii.gz").symlink_to("nowhere.nii.gz")
    (cohort / "s4.dcm").write_bytes(b"x")
    code, told = predict("--no-page")
    assert (code, "2 done, 2 failed" in told) == (1, True)
    assert "2 of 4 subjects have no content: fetch it first" in told
    assert "passed over what is no NIfTI or MGH volume: 1 .dcm" in told
    assert sorted(table(predict.out)) == ["s0", "s1", "s2", "s3"]


def test_broken_link_that_is_named_fails_alone(predict, cohort):
    for name, target in (("b", "nowhere"), ("c", "c.nii.gz")):
        (cohort / f"{name}.nii.gz").symlink_to(target)
    code, told = predict("--no-page", scans=[cohort / f"{n}.nii.gz" for n in ("s0", "b", "c")])
    assert (code, "1 done, 2 failed" in told) == (1, True)


def test_one_file_under_two_names_has_two_results_and_is_told(predict, cohort):
    (cohort / "again.nii.gz").symlink_to("s0.nii.gz")
    code, told = predict("--no-page")
    assert (code, "3 done" in told) == (0, True)
    assert f"one file under two names: {cohort / 's0.nii.gz'} and {cohort / 'again.nii.gz'}" in told


def test_scans_of_other_sequences_in_a_plain_folder_are_counted(predict, cohort):
    for name in ("A_t1", "A_flair", "A_t2", "B_t1"):
        write(cohort / f"{name}.nii.gz", brain(1))
    _, told = predict("--sequences", "t1", "--no-page")
    assert "2 done" in told
    assert "passed over 4 scans whose names do not end in t1: " in told
