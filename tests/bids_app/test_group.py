"""The level of the group: a table and a page over what was written, wherever it was written."""

import csv
import json
import shutil

import pytest


def read(out):
    with (out / "group.tsv").open(newline="") as file:
        return {row["scan"]: row for row in csv.DictReader(file, delimiter="\t")}


def test_table_has_a_row_for_each_scan_with_its_participant(app):
    app()
    code, told = app(level="group")
    rows = read(app.out)
    assert (code, len(rows)) == (0, 6)
    assert "6 scans, 0 without results; see" in told
    row = rows["sub-02_ses-b_acq-x_T1w"]
    assert (row["participant_id"], row["session_id"], row["suffix"]) == ("sub-02", "ses-b", "T1w")
    assert (row["age"], row["participants_score"], row["text"]) == ("n/a", "2", "n/a")
    assert float(row["score"]) > 0
    assert int(rows["sub-01_T1w"]["detections"]) >= 1
    assert rows["sub-01_T1w"]["text"] == "'=x"
    assert (app.out / "index.html").is_file()


def test_dictionary_says_what_every_column_holds(app):
    app("--participant-label", "01")
    app(level="group")
    texts = json.loads((app.out / "group.json").read_text())
    columns = (app.out / "group.tsv").read_text().splitlines()[0].split("\t")
    assert list(texts) == columns
    assert all(text["Description"] for text in texts.values())
    assert texts["age"] == {"Description": "Age", "Units": "year"}


def test_results_of_several_machines_need_one_folder_alone(app, tmp_path):
    """Each wrote a folder of its own, and one table has taken the place of the other."""
    app("--participant-label", "01", out=tmp_path / "a")
    app("--participant-label", "02", out=tmp_path / "b")
    shutil.copytree(tmp_path / "a", app.out)
    shutil.copytree(tmp_path / "b", app.out, dirs_exist_ok=True)
    code, told = app(level="group")
    rows = read(app.out)
    assert (code, len(rows)) == (0, 4)
    assert "1 participant has no row" in told
    assert "sub-03" in told
    assert {row["status"] for row in rows.values()} == {"ok"}


def test_failed_scan_has_a_row_and_one_that_came_later_has_none_of_its_absence(app, tree):
    scan = tree / "sub-03/anat/sub-03_run-1_T1w.nii.gz"
    content = scan.read_bytes()
    (tree / "sub-03/anat/sub-03_run-2_T1w.nii.gz").unlink()
    scan.unlink()
    app()
    app(level="group")
    assert read(app.out)["sub-03"]["status"] == "failed"
    assert read(app.out)["sub-03"]["detections"] == "n/a"
    scan.write_bytes(content)
    app()
    app(level="group")
    assert "sub-03" not in read(app.out)
    assert read(app.out)["sub-03_run-1_T1w"]["status"] == "ok"


def test_nothing_to_put_together_is_one_sentence(app):
    code, told = app(level="group")
    assert code == 1
    assert told.strip().endswith(
        "expected results of participants, found none; run the level participant first"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is not there"),
        ("age\n30\n", "expected a column participant_id, found age"),
        ("participant_id\tage\n01\t30\nsub-01\t31\n01\t32\n", "the last row of 01 is taken"),
    ],
)
def test_table_of_participants_that_is_odd_is_named(app, tree, text, message):
    app("--participant-label", "01")
    path = tree / "participants.tsv"
    path.unlink() if text is None else path.write_text(text)
    code, told = app(level="group")
    assert (code, message in told) == (0, True)
    if text and "sub-01" in text:
        assert read(app.out)["sub-01_T1w"]["age"] == "32"


def test_damaged_record_is_left_out_by_name(app):
    app("--participant-label", "01")
    (app.out / "results.csv").unlink()
    (app.out / "sub-01/anat/sub-01_desc-anomaly_T1w.json").write_text("{")
    code, told = app(level="group")
    assert (code, list(read(app.out))) == (0, ["sub-01_FLAIR"])
    assert "warning: sub-01_T1w is left out" in told


def test_labels_do_not_choose_among_the_group(app):
    app("--participant-label", "01", "02")
    assert "the group is all that was looked at" in app("--participant-label", "01", level="group")[1]
    assert len(read(app.out)) == 4
