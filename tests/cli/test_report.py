"""Pages and figures of results that are there already."""

import os

import pytest

from diffad.cli import main
from tests.helpers.cohorts import brain, table, write


@pytest.fixture
def report(predict, capsys):
    def run(*words):
        code = main(["report", str(predict.out), *words])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def test_pages_and_lesions_come_back_and_maps_stay(predict, report):
    predict()
    maps = {p.name: p.read_bytes() for p in predict.out.glob("*.nii.gz")}
    lesions = (predict.out / "s0_lesions.json").read_bytes()
    for end in ("report.html", "lesions.json", "lesions.csv"):
        (predict.out / f"s0_{end}").unlink()
    (predict.out / "index.html").unlink()
    assert report("-q") == (0, "")
    assert report() == (0, f"2 pages; see {predict.out / 'index.html'}\n1 of 2: s0\n2 of 2: s1\n")
    assert (predict.out / "s0_report.html").is_file()
    assert (predict.out / "s0_lesions.json").read_bytes() == lesions
    assert {p.name: p.read_bytes() for p in predict.out.glob("*.nii.gz")} == maps
    assert predict()[1].startswith("2 done before")


@pytest.mark.parametrize(("kind", "start"), [("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_figures_are_drawn_alike_every_time_and_beside_the_montage(predict, report, cohort, kind, start):
    predict(scans=[cohort / "s0.nii.gz"])
    before = (predict.out / "s0_report.png").read_bytes()
    assert report("--figure", kind)[0] == 0
    made = (predict.out / f"s0_figure.{kind}").read_bytes()
    assert made.startswith(start)
    report("--figure", kind)
    assert (predict.out / f"s0_figure.{kind}").read_bytes() == made
    assert (predict.out / "s0_report.png").read_bytes() == before


def test_scan_that_was_moved_fails_alone(predict, report, cohort):
    predict()
    (cohort / "s0.nii.gz").rename(cohort / "gone.nii.gz")
    code, told = report()
    assert (code, "failed s0" in told, "1 pages" in told) == (1, True, True)
    assert table(predict.out)["s0"]["status"] == "ok"


def test_folder_without_maps_is_one_clear_error(report, predict):
    predict.out.mkdir()
    assert report() == (1, f"error: {predict.out}: expected maps, as predict writes them, found none\n")


BAD_RECORDS = {
    "empty": b"",
    "truncated": b'{"image_score": 0.1, "scan": ["s0.ni',
    "list": b"[1, 2]",
    "types": b'{"image_score": {}, "scan": 3, "threshold": "x"}',
    "no_scan": b'{"image_score": 0.1, "threshold": 0.2}',
    "nan": b'{"image_score": NaN, "scan": ["s0.nii.gz"], "threshold": 0.1}',
    "huge_number": b'{"image_score": 1' + b"0" * 400 + b', "scan": ["s0.nii.gz"], "threshold": 0.1}',
    "huge": b'{"x": "' + b"y" * 2_000_000 + b'"}',
    "deep": b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "binary": bytes(range(256)),
    "pipe": os.mkfifo,
    "folder": os.mkdir,
    "loop": lambda path: path.symlink_to(path),
    "pointer": b"version https://git-lfs.github.com/spec/v1\n",
}


@pytest.mark.parametrize("kind", BAD_RECORDS)
def test_bad_record_of_one_scan_is_told_and_the_rest_go_on(predict, report, kind, monkeypatch):
    monkeypatch.setattr("diffad.io.own_maps.INFO_BYTES", 1_000_000)
    predict()
    path = predict.out / "s0_info.json"
    path.unlink()
    make = BAD_RECORDS[kind]
    path.write_bytes(make) if isinstance(make, bytes) else make(path)
    code, told = report()
    assert (code, "1 pages" in told) == (1, True)
    assert f"failed s0: {path}: expected " in told
    assert len(told) < 1000


def test_map_of_another_grid_or_scan_is_refused_by_name(predict, report, cohort):
    predict()
    write(predict.out / "s0_twin.nii.gz", brain(0, (24, 28, 9)))
    write(cohort / "s1.nii.gz", brain(7))
    code, told = report()
    assert (code, "0 pages" in told) == (1, True)
    assert f"failed s0: {predict.out / 's0_twin.nii.gz'}: expected the grid of {cohort / 's0.nii.gz'}" in told
    assert f"failed s1: {cohort / 's1.nii.gz'}: expected the scan that the maps were made of" in told


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.write_text("[")])
def test_damaged_lesion_table_is_made_anew(predict, report, make):
    predict()
    path = predict.out / "s0_lesions.json"
    before = path.read_bytes()
    path.unlink()
    make(path)
    assert report()[0] == 0
    assert path.read_bytes() == before


def test_pipe_as_table_of_results_is_one_clear_error(predict, report):
    predict()
    (predict.out / "results.csv").unlink()
    os.mkfifo(predict.out / "results.csv")
    code, told = report()
    assert (code, "found a named pipe" in told) == (1, True)
