"""The level of participants: which scans are looked at, and what is said of the rest."""

import json
import multiprocessing
import os
import signal

import pytest

from diffad.io.naming import Naming
from diffad.io.spaces import TEMPLATE_SPACE
from diffad.predict.claims import ScanClaims
from tests.helpers.cohorts import brain, table, write
from tests.helpers.ways import SHAPE, coarsen_template, register_at_once

ALL = [
    "sub-01_FLAIR", "sub-01_T1w", "sub-02_ses-a_T1w", "sub-02_ses-b_acq-x_T1w", "sub-03_run-1_T1w",
    "sub-03_run-2_T1w",
]  # fmt: skip


def done(out):
    return sorted(name for name, row in table(out).items() if row["status"] == "ok")


def failed(out):
    return {name: row["error"] for name, row in table(out).items() if row["status"] == "failed"}


def test_every_participant_has_maps_and_a_second_run_does_nothing(app):
    code, told = app()
    assert (code, done(app.out)) == (0, ALL)
    assert "note: the data set was not validated, as there is no bids-validator-deno" in told
    assert "3 participants to look at, in 1 process with a thread for every core" in told
    assert app()[1].count("6 done before") == 1


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--participant-label", "02", "sub-03"], ALL[2:]),
        (["--participant_label", "01", "03", "--sequences", "T1w"], [ALL[1], *ALL[4:]]),
        (["--session-label", "ses-b", "--participant-label", "02"], [ALL[3]]),
        (["--participant-label", "01", "02", "--session-label", "a", "--on-failure", "never"], [ALL[2]]),
    ],
)  # fmt: skip
def test_labels_choose(app, words, names):
    code, _ = app(*words)
    assert (code, done(app.out)) == (0, names)


def test_maps_in_the_space_of_the_template_are_written_beside_native_ones(app, tree, monkeypatch):
    pytest.importorskip("SimpleITK")
    register_at_once(monkeypatch)
    coarsen_template(monkeypatch)
    write(tree / "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz", brain(0, SHAPE))
    code, _ = app("--participant-label", "02", "--session-label", "a", "--space", TEMPLATE_SPACE)
    names = {path.name for path in (app.out / "sub-02/ses-a/anat").iterdir()}
    assert code == 0
    for space in ("", f"space-{TEMPLATE_SPACE}_"):
        assert f"sub-02_ses-a_{space}desc-anomaly_T1w.nii.gz" in names
    code, told = app("--space", "elsewhere")
    assert (code, "--space: expected one of native" in told) == (2, True)


def test_labels_end_where_the_level_begins(app, tree, model):
    from diffad.cli.app import run_bids_app

    options = ["--model", str(model), "--no-prepare", "--no-page"]
    assert run_bids_app([*options, "--participant-label", "03", str(tree), str(app.out), "participant"]) == 0
    assert done(app.out) == ALL[4:]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--participant-label", "01", "09"], "--participant-label: expected participants of"),
        (["--participant-label", "09"], "got 09; there are 01, 02, 03"),
        (["--session-label", "c"], "got c; there are a, b"),
        (["--nprocs", "0"], "--nprocs: expected at least 1, got 0"),
        (["--mem-gb", "-1"], "--mem-gb: expected more than 0 GB, got -1.0"),
    ],
)
def test_wrong_words_are_named(app, words, message):
    code, told = app(*words)
    assert code in (1, 2)
    assert message in told
    assert not app.out.exists()


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"t1w": {"session": "a"}, "flair": {"session": "a"}}, [ALL[2]]),
        ({"t1w": {"run": [1, "02"]}}, [ALL[0], *ALL[4:]]),
        ({"t1w": {"acquisition": None, "session": "*"}, "flair": {"run": 9}}, [ALL[2]]),
        ({"t1w": {"acquisition": "Query.REQUIRED"}, "flair": {"subject": "3"}, "bold": {}}, [ALL[3]]),
        ({"t1w": {"suffix": ["T1w", "FLAIR"], "session": "Query.NONE", "run": None}}, ALL[:2]),
        ({"t1w": {"datatype": "anat", "extension": "nii.gz", "run": "Query.OPTIONAL"}}, ALL),
    ],
)  # fmt: skip
def test_filter_file_chooses_by_entities(app, tmp_path, filters, names):
    path = tmp_path / "filters.json"
    path.write_text(json.dumps(filters))
    _, told = app("--bids-filter-file", path, "--on-failure", "never")
    assert done(app.out) == names
    assert ("passed over the queries bold" in told) == ("bold" in filters)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "found no JSON"),
        ("[]", "found other JSON"),
        ('{"t1w": 3}', "found other JSON"),
        ('{"t1": {}}', "expected the queries t1w, t2w, flair, ct, found 't1'; did you mean 't1w'?"),
        ('{"t1w": {"sesion": "a"}}', "found 'sesion'; did you mean 'session'?"),
        ('{"t1w": {"session": {"a": 1}}}', "expected a label, labels or null for t1w session"),
        ('{"t1w": {"session": "z"}, "flair": {"run": 7}}', "expected scans that are t1w with session z"),
    ],
)
def test_filter_file_that_says_nothing_is_refused_by_name(app, tmp_path, text, message):
    path = tmp_path / "filters.json"
    path.write_text(text)
    code, told = app("--bids-filter-file", path)
    assert (code, str(path) in told, message in told) == (1, True, True)
    assert not app.out.exists()


def test_filter_that_nothing_answers_is_named_beside_others(app, tmp_path):
    path = tmp_path / "filters.json"
    path.write_text('{"flair": {"session": "z"}}')
    assert "no scan is flair with session z" in app("--bids-filter-file", path)[1]


def test_participant_without_a_scan_is_named_and_the_rest_goes_on(app, tree):
    (tree / "sub-04/anat").mkdir(parents=True)
    write(tree / "sub-05/anat/sub-05_PDw.nii.gz", brain(9))
    (tree / "sub-06").symlink_to("../store/sub-06")
    (tree / "sub-01/anat/sub-01_FLAIR.nii.gz").unlink()
    (tree / "sub-01/anat/sub-01_FLAIR.nii.gz").symlink_to("../../.git/annex/objects/x")
    code, told = app()
    assert (code, done(app.out)) == (1, ALL[1:])
    absent = {
        "sub-04": "no scan that is t1w or t2w or flair",
        "sub-05": "no scan that is t1w or t2w or flair",
    }
    assert {k: v for k, v in failed(app.out).items() if k in absent} == absent
    assert all("no content" in failed(app.out)[name] for name in ("sub-06", "sub-01_FLAIR"))
    assert "passed over 1 scans of other kinds: sub-05_PDw.nii.gz" in told
    assert app("--on-failure", "all")[0] == 0


def test_masks_and_phases_are_no_scans(app, tree):
    for name in ("desc-brain_mask", "part-phase_T1w", "label-GM_probseg"):
        write(tree / f"sub-01/anat/sub-01_{name}.nii.gz", brain(3))
    app("--participant-label", "01")
    assert done(app.out) == ALL[:2]


def test_tree_that_is_no_data_set_is_refused(app, tree, tmp_path):
    (tree / "dataset_description.json").write_text("{")
    assert "found no JSON" in app()[1]
    (tree / "dataset_description.json").unlink()
    assert "expected a BIDS data set with a dataset_description.json, found none" in app()[1]
    assert "found no such folder" in app(root=tmp_path / "nowhere")[1]
    assert not app.out.exists()


def test_derivative_is_not_written_into_raw_data(app, tree, tmp_path):
    assert "got the data set itself" in app(out=tree)[1]
    other = tmp_path / "other"
    other.mkdir()
    (other / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    assert "found a BIDS data set of type raw" in app(out=other)[1]
    assert [path.name for path in other.iterdir()] == ["dataset_description.json"]


def test_scratch_in_the_derivative_is_passed_over_and_among_raw_data_refused(app, tree):
    code, told = app("--participant-label", "03", "-w", app.out / "my work")
    assert (code, "/my work/" in (app.out / ".bidsignore").read_text().splitlines()) == (0, True)
    code, told = app("-w", tree / "work")
    assert (code, "--work-dir: expected a folder outside of" in told) == (1, True)
    assert "lies among the folders of the participants" in app("-w", tree / "out/w", out=tree / "out")[1]
    assert "lies among" not in app("-w", tree / "code/w", out=tree / "derivatives/diffad")[1]


def hold(out, name, ready, end):
    """Hold a scan, as another program at work on it does."""
    claims = ScanClaims(out)
    assert claims.acquire(Naming(name, out.__class__("sub-01/anat"), bids=True))
    ready.set()
    end.wait(60)


def test_scan_that_another_program_is_at_is_left_to_it(app, monkeypatch):
    monkeypatch.setattr("diffad.predict.waiting.PATIENCE_SECONDS", 0.5)
    context = multiprocessing.get_context("fork")
    ready, end = context.Event(), context.Event()
    other = context.Process(target=hold, args=(app.out, "sub-01_T1w", ready, end))
    other.start()
    try:
        assert ready.wait(60)
        code, told = app("--participant-label", "01")
    finally:
        end.set()
        other.join()
    assert (code, done(app.out)) == (1, ["sub-01_FLAIR"])
    assert f"waiting for 1 scans that process {other.pid} on" in told
    assert "1 left to another run" in told
    assert app("--participant-label", "01")[0] == 0


def test_prepared_scans_and_scratch_lie_in_the_work_folder(app, tree, model, tmp_path):
    pytest.importorskip("SimpleITK")
    from diffad.cli.app import run_bids_app

    write(tree / "sub-01/anat/sub-01_T1w.nii.gz", brain(3, (30, 32, 20)))
    work = tmp_path / "work"
    words = ["--model", model, "--no-page", "--brain", "none", "--register", "none", "--no-bias", "-w", work]
    words += ["--participant-label", "01", "--sequences", "T1w"]
    assert run_bids_app([str(tree), str(app.out), "participant", *map(str, words)]) == 0
    names = sorted(path.name for path in (work / "prepared").iterdir())
    assert {"sub-01_T1w.nii.gz", "sub-01_T1w_brain_mask.nii.gz", "sub-01_T1w_prepare.json"} <= set(names)
    assert (work / "tmp").is_dir()
    sidecar = json.loads((app.out / "sub-01/anat/sub-01_desc-twin_T1w.json").read_text())
    assert sidecar["SpatialReference"] == "bids:raw:sub-01/anat/sub-01_T1w.nii.gz"


@pytest.mark.slow
def test_processes_share_participants(app, tmp_path):
    log = tmp_path / "run.log"
    code, told = app("--nprocs", "5", "--mem-gb", "11", "--log", log)
    assert (code, done(app.out)) == (0, ALL)
    assert "3 participants to look at, in 2 processes with 2 threads each" in told
    assert "6 done; see" in told
    assert all(f"{name}: analysed" in log.read_text() for name in ALL)


def die(*_):
    """End as a process does that the kernel kills."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_process_that_is_killed_is_one_sentence(app, monkeypatch):
    monkeypatch.setattr("diffad.bids_app.workers.work_on_share", die)
    code, told = app("--nprocs", "2")
    assert code == 1
    assert "error: a process was ended from outside, maybe for its memory; the files of finished" in told
