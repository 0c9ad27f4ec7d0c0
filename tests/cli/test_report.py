"""Pages and figures of results that are there already."""

import pytest

from diffad.cli import main
from tests.helpers.cohorts import table


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
    assert report() == (0, f"2 pages; see {predict.out / 'index.html'}\n")
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
