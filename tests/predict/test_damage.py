"""What was damaged since it was written is noticed and made anew."""

import json
import os
import shutil

import pytest

from diffad.io.naming import Naming
from diffad.io.subjects import group_subjects
from diffad.pipeline import AnomalyPipeline
from diffad.predict import Cohort, Options
from diffad.predict.finished import FinishedScan, inspect_results
from tests.helpers.cohorts import KINDS, brain, info, names, write

MADE = [kind for kind in KINDS if kind != "info.json"]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path):
    path.write_bytes(b"")


def delete(path):
    path.unlink()


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture(scope="module")
def finished(model, tmp_path_factory):
    """Results of one scan, made once."""
    folder = tmp_path_factory.mktemp("finished")
    write(folder / "scans" / "s0.nii.gz", brain(0))
    pipe, subjects = AnomalyPipeline.from_pretrained(model), group_subjects([folder / "scans" / "s0.nii.gz"])
    assert Cohort(pipe, folder / "out", Options(), page=True).run(subjects).done == ["s0"]
    return folder / "out"


@pytest.fixture
def out(finished, tmp_path):
    """A copy of them, to be harmed."""
    return shutil.copytree(finished, tmp_path / "harmed")


FILES = Naming("s0").files


@pytest.mark.parametrize(
    ("damage", "told"),
    [(truncate, "bytes, not"), (empty, "has 0 bytes, not"), (delete, "missing")],
)
@pytest.mark.parametrize("kind", MADE)
def test_damaged_file_is_seen_by_its_size(out, kind, damage, told):
    assert inspect_results(FILES(out)).damage == ""
    damage(out / f"s0_{kind}")
    damage_found = inspect_results(FILES(out)).damage
    assert damage_found.startswith(f"s0_{kind} ")
    assert told in damage_found


@pytest.mark.parametrize("kind", MADE)
def test_flipped_bit_is_seen_by_verify_alone(out, kind):
    flip(out / f"s0_{kind}")
    assert inspect_results(FILES(out)).damage == ""
    damage = inspect_results(FILES(out), verify=True).damage
    assert damage == f"s0_{kind} is not what was written, by its checksum"


def test_no_results_are_no_damage(out):
    delete(out / "s0_info.json")
    assert inspect_results(FILES(out)) == FinishedScan()


def test_damaged_files_are_made_anew_as_they_were(predict):
    predict()
    maps, lesions = predict.out / "s0_anomaly.nii.gz", predict.out / "s1_lesions.json"
    before = maps.read_bytes(), lesions.read_bytes()
    truncate(maps)
    flip(lesions)
    code, told = predict()
    assert (code, "1 done, 1 done before;" in told) == (0, True)
    assert "redoing s0: s0_anomaly.nii.gz has " in told
    assert maps.read_bytes() == before[0]
    assert "redoing s1: s1_lesions.json is not what was written" in predict("--verify")[1]
    assert lesions.read_bytes() == before[1]
    assert predict("--verify", "-q")[1] == ""
    assert predict("--verify")[1].startswith(f"2 done before; see {predict.out / 'results.csv'}\n")


def test_sizes_and_digests_of_all_files_are_stored(out):
    files = info(out, "s0")["files"]
    kinds = ["anomaly", "mask", "twin", "seen", "lesions_csv", "lesions_json", "report", "page"]
    assert list(files) == kinds
    assert all(record["size"] > 0 and len(record["sha256"]) == 64 for record in files.values())


def test_results_of_before_digests_count_by_their_presence(out):
    path = out / "s0_info.json"
    stored = json.loads(path.read_text())
    del stored["files"]
    path.write_text(json.dumps(stored))
    assert inspect_results(FILES(out), verify=True) == FinishedScan(stored)
    empty(out / "s0_mask.nii.gz")
    assert inspect_results(FILES(out)).damage == "s0_mask.nii.gz is empty"
    delete(out / "s0_mask.nii.gz")
    assert inspect_results(FILES(out)).damage == "s0_mask.nii.gz is missing"


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"files": 5', "\x00", "[" * 100_000, '"a"'])
def test_information_that_cannot_be_read_is_damage(out, text):
    (out / "s0_info.json").write_text(text)
    assert inspect_results(FILES(out)) == FinishedScan(damage="s0_info.json cannot be read")


def test_information_that_is_a_pipe_is_damage_and_nothing_waits(out):
    delete(out / "s0_info.json")
    os.mkfifo(out / "s0_info.json")
    assert inspect_results(FILES(out)).damage == "s0_info.json cannot be read"


@pytest.mark.parametrize("files", [5, [], {"mask": 5}, {"mask": {}}, {"mask": {"size": "x"}}])
def test_records_of_another_form_do_no_harm(out, files):
    path = out / "s0_info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"files": files}))
    damage = inspect_results(FILES(out), verify=True).damage
    assert bool(damage) == isinstance(files, dict)


def test_report_keeps_the_record_of_what_it_rewrites(predict):
    from diffad.cli import main

    predict()
    assert main(["report", str(predict.out)]) == 0
    assert "\n2 done before;" in predict("--verify")[1]
    assert "index.html" in names(predict.out)
