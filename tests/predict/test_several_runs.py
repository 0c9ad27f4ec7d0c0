"""Several programs, one folder: every scan is done once and whole, and every row is kept."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from diffad.io.claims import RUNNING
from diffad.io.naming import Naming
from diffad.io.subjects import find_scans, group_subjects
from diffad.pipeline import AnomalyPipeline
from diffad.predict import Cohort, Options, claims, waiting
from diffad.predict.claims import ScanClaims
from tests.helpers.cohorts import all_files, brain, names, table, write


@pytest.fixture
def pipe(model):
    return AnomalyPipeline.from_pretrained(model)


@pytest.fixture
def subjects(cohort):
    return group_subjects(find_scans([cohort]).scans)


def test_scan_that_another_program_does_is_not_done_twice(pipe, subjects, tmp_path, monkeypatch):
    out, other = tmp_path / "out", ScanClaims(tmp_path / "out")
    cohort = Cohort(pipe, out, Options())
    assert other.acquire(subjects[0].naming)
    naps = []

    def finish_in_the_other(_):
        naps.append(names(out))
        shutil.copytree(tmp_path / "theirs", out, dirs_exist_ok=True)
        other.release(subjects[0].naming)

    Cohort(pipe, tmp_path / "theirs", Options()).run(subjects[:1])
    monkeypatch.setattr(waiting.time, "sleep", finish_in_the_other)
    summary = cohort.run(subjects)
    assert (summary.done, summary.skipped) == (["s1"], ["s0"])
    assert len(naps) == 1
    assert "s1_info.json" in naps[0]  # what is free comes first
    assert list(table(out)) == ["s0", "s1"]
    assert RUNNING not in names(out)


def test_program_that_works_long_is_waited_for_and_one_that_is_stopped_is_not(
    pipe, subjects, tmp_path, monkeypatch
):
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.01)
    other = ScanClaims(tmp_path / "out")
    assert other.acquire(subjects[1].naming)
    threading.Timer(2.5, other.release_all).start()
    start = time.monotonic()
    summary = Cohort(pipe, tmp_path / "out", Options()).run(subjects)
    assert (sorted(summary.done), summary.busy) == (["s0", "s1"], [])
    assert time.monotonic() - start > 2


def test_pipe_for_a_lock_file_holds_nobody_up(tmp_path):
    naming = Naming("a")
    path = ScanClaims(tmp_path)._path(naming)
    path.parent.mkdir()
    os.mkfifo(path)
    claim = ScanClaims(tmp_path)
    claim.describe_holder(naming)
    assert claim.acquire(naming)
    claim.release_all()


def test_scan_that_another_program_never_finishes_is_left_to_it_by_name(
    pipe, subjects, tmp_path, monkeypatch, capsys
):
    other = ScanClaims(tmp_path / "out")
    assert other.acquire(subjects[1].naming)
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.01)
    summary = Cohort(pipe, tmp_path / "out", Options()).run(subjects)
    assert (summary.done, summary.busy, summary.code()) == (["s0"], ["s1"], 1)
    assert str(summary) == "1 done, 1 left to another run"
    text = capsys.readouterr().err
    assert f"waiting for 1 scans that process {os.getpid()} on " in text
    assert f"gave up 1 scans: process {os.getpid()} on" in text
    other.release(subjects[1].naming)
    assert Cohort(pipe, tmp_path / "out", Options()).run(subjects).complete


def test_claims_are_given_back_whatever_ends_the_run(pipe, subjects, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(AnomalyPipeline, "__call__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Cohort(pipe, tmp_path / "out", Options()).run(subjects)
    assert RUNNING not in names(tmp_path / "out")


def test_scans_of_one_name_in_two_sessions_have_claims_of_their_own(tmp_path):
    claims, other = ScanClaims(tmp_path), ScanClaims(tmp_path)
    first, second = (Naming("sub-001_T1w", Path(f"sub-001/ses-{k}/anat"), bids=True) for k in (1, 2))
    assert (claims.acquire(first), other.acquire(second), other.acquire(first)) == (True, True, False)
    claims.release_all()
    assert (other.acquire(first), other.is_free(first)) == (True, False)
    other.release_all()
    assert names(tmp_path) == []


def start(model, out, *scans):
    words = [
        sys.executable,
        "-m",
        "diffad.predict",
        *map(str, scans),
        "--model",
        str(model),
        "--out",
        str(out),
    ]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("same", [True, False], ids=["same scans", "other scans"])
def test_two_runs_into_one_folder_lose_nothing(model, tmp_path, same):
    paths = [write(tmp_path / "scans" / f"s{k:02}.nii.gz", brain(k)) for k in range(12)]
    shares = (paths, paths) if same else (paths[:6], paths[6:])
    runs = [start(model, tmp_path / "out", *share) for share in shares]
    told = [run.communicate(timeout=300) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    assert names(tmp_path / "out") == all_files(*(p.name.removesuffix(".nii.gz") for p in paths))
    assert [row["status"] for row in table(tmp_path / "out").values()] == ["ok"] * 12
    assert "12 done before" in start(model, tmp_path / "out", *paths, "--verify").communicate(timeout=300)[0]


@pytest.mark.slow
def test_run_beside_one_that_is_killed_does_its_scans(model, tmp_path):
    paths = [write(tmp_path / "scans" / f"s{k:02}.nii.gz", brain(k)) for k in range(12)]
    runs = [start(model, tmp_path / "out", *paths) for _ in range(2)]
    until = time.monotonic() + 120
    while len(list((tmp_path / "out").glob("*_info.json"))) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    runs[0].kill()
    runs[0].communicate()
    assert "Traceback" not in runs[1].communicate(timeout=300)[1]
    assert runs[1].returncode == 0
    assert len(table(tmp_path / "out")) == 12
    assert "12 done before" in start(model, tmp_path / "out", *paths, "--verify").communicate(timeout=300)[0]
