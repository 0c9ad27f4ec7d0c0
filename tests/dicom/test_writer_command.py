"""``diffad dicom``: finds the series of each result, skips what is done, and one bad scan costs no other."""

import json

import numpy as np
import pydicom
import pytest

from diffad.cli import main
from tests.helpers.dicom_results import grey_head, write_result
from tests.helpers.dicom_series import write_series
from tests.helpers.heads import affine_of

SHAPE = (24, 20, 9)
AFFINE = affine_of((8, 9, 15), shape=SHAPE)
WORDS = ["DOE", "JANE", "PID-007", "19700101", "1.2.826"]


@pytest.fixture
def place(tmp_path):
    write_result(tmp_path / "maps", SHAPE, AFFINE)
    write_series(tmp_path / "study" / "a", grey_head(SHAPE, AFFINE), AFFINE)
    return tmp_path


@pytest.fixture
def run(place, capsys):
    def call(*words, series="study"):
        options = ["--source", str(place / series)] if series else []
        code = main(["dicom", str(place / "maps"), "--out", str(place / "out"), *options, *words])
        told = capsys.readouterr()
        text = told.out + told.err
        assert "Traceback" not in text
        assert not any(word in text for word in WORDS)
        return code, text

    return call


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_objects_are_written_once_and_again_on_request(place, run):
    code, text = run()
    assert (code, text) == (0, f"1 done; see {place / 'out'}\n1 of 1: scan\n")
    assert names(place / "out") == ["scan_anomaly.dcm", "scan_detections.dcm", "scan_report.dcm"]
    before = (place / "out/scan_anomaly.dcm").stat().st_mtime_ns
    assert run()[1].startswith("1 done before")
    assert (place / "out/scan_anomaly.dcm").stat().st_mtime_ns == before
    assert run("--overwrite")[1].startswith("1 done;")
    assert (place / "out/scan_anomaly.dcm").stat().st_mtime_ns > before


def test_objects_of_another_result_are_kept_and_that_is_said(place, run):
    run()
    write_result(place / "maps", SHAPE, AFFINE, spots=((0.0, 0.0, 0.0),))
    code, text = run()
    assert code == 0
    assert "kept scan: made of another result or series; --overwrite makes it anew" in text
    assert "1 kept of other results or series" in text


def test_result_without_detections_says_so_and_has_its_map(place, run):
    write_result(place / "maps", SHAPE, AFFINE, spots=())
    code, text = run()
    assert code == 0
    assert "note: scan: nothing was detected, so there is no segmentation" in text
    assert names(place / "out") == ["scan_anomaly.dcm", "scan_report.dcm"]
    assert np.frombuffer(pydicom.dcmread(place / "out/scan_anomaly.dcm").FloatPixelData, "<f4").max() == 0


def test_right_series_of_several_is_found_by_its_picture(place, run):
    other = grey_head(SHAPE, AFFINE)[::-1].max() - grey_head(SHAPE, AFFINE)
    write_series(place / "study" / "b", other, AFFINE, number=3)
    assert run()[0] == 0
    item = pydicom.dcmread(place / "out/scan_anomaly.dcm")
    source = pydicom.dcmread(next((place / "study" / "a").iterdir()))
    assert item.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID


def test_two_series_alike_are_no_guess(place, run):
    write_series(place / "study" / "b", grey_head(SHAPE, AFFINE), AFFINE, number=3)
    code, text = run()
    assert code == 1
    assert "expected one series, of 2, that shows the scan of scan_anomaly.nii.gz, found 2 that do" in text
    assert not (place / "out").exists()


def test_series_that_the_result_names_needs_no_words(place, run):
    write_series(place / "study" / "b", grey_head(SHAPE, AFFINE), AFFINE, number=3)
    for folder in ("a", "b"):
        uid = pydicom.dcmread(next((place / "study" / folder).iterdir())).SeriesInstanceUID
        stored = {"folder": str(place / "study"), "series_uid": uid}
        write_result(place / "maps", SHAPE, AFFINE, dicom=stored)
        assert run("--overwrite", series="")[0] == 0
        item = pydicom.dcmread(place / "out/scan_anomaly.dcm")
        assert item.ReferencedSeriesSequence[0].SeriesInstanceUID == uid
    write_result(place / "maps", SHAPE, AFFINE, dicom=stored | {"series_uid": "1.2.3"})
    assert "expected the series that scan_info.json names, found others" in run(series="")[1]


@pytest.mark.parametrize(
    ("series", "message"),
    [("", "--source"), ("nowhere", "found no such folder"), ("maps", "expected a DICOM series of images")],
)
def test_series_that_is_not_there_is_one_sentence(run, series, message):
    code, text = run(series=series)
    assert code == 1
    assert message in text


def test_one_bad_result_costs_no_other(place, run):
    files = write_result(place / "maps", SHAPE, AFFINE, name="broken")
    files["mask"].write_bytes(b"no volume")
    code, text = run()
    assert code == 1
    assert f"failed broken: {files['mask']}" in text
    assert f"1 done, 1 failed; see {place / 'out'}" in text
    assert "scan_anomaly.dcm" in names(place / "out")


def test_programs_are_told_files_and_counts(place, run):
    events = [json.loads(line) for line in run("--json", "-q")[1].splitlines()]
    (written,) = [event for event in events if event["event"] == "objects"]
    assert (written["scan"], written["status"], written["copied"]) == ("scan", "done", True)
    assert {*written["files"]} == {"detections", "anomaly", "report"}


def test_folder_without_maps_is_refused(tmp_path, capsys):
    assert main(["dicom", str(tmp_path), "--source", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "expected maps, as predict writes them, found none" in capsys.readouterr().err


def test_absent_extra_is_one_sentence(place, run, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "highdicom", None)
    code, text = run()
    assert code == 1
    assert 'install it: pip install "diffad[dicom]"' in text
