"""What is a matter of one scan, and what ends a cohort."""

import errno
from pathlib import Path

import pytest

from diffad.io.subjects import Subject
from diffad.predict.disk import watch_disk
from diffad.predict.outcome import ScanOutcome, WriteError, guard_stage
from diffad.predict.outcome_files import write_outcome
from diffad.predict.results import ResultRow
from diffad.predict.summary import CohortSummary

SUBJECT = Subject("s1", (Path("s1.nii.gz"),))


def fail(error):
    def stage(subject, *rest):
        raise error

    return stage


def test_stage_that_goes_well_answers_for_itself():
    assert guard_stage(lambda subject, number: (subject.name, number), SUBJECT, 3) == ("s1", 3)


@pytest.mark.parametrize("error", [ValueError("odd"), OSError("odd"), ZeroDivisionError("odd")])
def test_whatever_is_wrong_with_a_scan_is_its_outcome_and_is_said(error, capsys):
    outcome = guard_stage(fail(error), SUBJECT)
    assert (outcome.counts, outcome.row.status) == ("failed", "failed")
    assert "odd" in outcome.row.error
    assert "failed s1: " in capsys.readouterr().err


def test_disk_that_takes_nothing_more_ends_the_cohort():
    with pytest.raises(WriteError, match="full"):
        guard_stage(fail(WriteError("full")), SUBJECT)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_full_disk_is_told_from_a_scan_that_cannot_be_written(code, tmp_path):
    words = rf"{tmp_path}: cannot write s1 \(.*\); .* run the same command"
    with pytest.raises(WriteError, match=words), watch_disk(tmp_path, "s1"):
        raise OSError(code, "no")
    with pytest.raises(OSError, match="vanished") as caught, watch_disk(tmp_path, "s1"):
        raise FileNotFoundError(errno.ENOENT, "vanished")
    assert not isinstance(caught.value, WriteError)


def test_table_that_cannot_be_written_ends_the_cohort_whatever_the_reason(tmp_path):
    with pytest.raises(WriteError, match=r"cannot write results\.csv"), watch_disk(tmp_path, "results.csv"):
        raise FileNotFoundError(errno.ENOENT, "vanished")


def test_scan_without_anything_to_write_is_passed_on(tmp_path):
    outcome = ScanOutcome(ResultRow("s1", "done"), "skipped")
    assert write_outcome(SUBJECT, outcome, tmp_path, page=False) is outcome
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "after"), [("skipped", "skipped"), ("done", "failed")])
def test_finished_scan_stays_finished_if_nothing_can_be_added(kind, after, tmp_path, monkeypatch, capsys):
    for name in ("write_scan", "add_in_template"):
        monkeypatch.setattr(f"diffad.predict.outcome_files.{name}", fail(ValueError("odd")))
    outcome = write_outcome(SUBJECT, ScanOutcome(ResultRow("s1", "done"), kind, object()), tmp_path, False)
    assert (outcome.counts, outcome.output) == (after, None)
    assert "failed s1: odd" in capsys.readouterr().err


def test_summary_counts_a_scan_by_what_became_of_it():
    summary = CohortSummary()
    summary.count_scan("a", "done", ResultRow("a", "done"))
    summary.count_scan("b", "failed", ResultRow("b", "failed", error="odd"))
    summary.count_scan("c", "skipped", ResultRow("c", "done"))
    assert (summary.done, summary.failed, summary.skipped) == (["a"], {"b": "odd"}, ["c"])
