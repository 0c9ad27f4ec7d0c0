"""The last stage of a cohort: what was made of a scan is written, and its outcome let go of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from diffad.io.stages import run_stage, work_on
from diffad.io.subjects import Subject
from diffad.predict.disk import watch_disk
from diffad.predict.outcome import ScanOutcome, guard_stage
from diffad.predict.writer import add_in_template, write_scan


def write_outcome(subject: Subject, outcome: ScanOutcome, out: Path, page: bool) -> ScanOutcome:
    """Write what was made of a scan, if anything, and return what became of it.

    Args:
        subject: The scan.
        outcome: What became of it until now; one that was finished before stays so if nothing can be added.
        out: Folder of all results.
        page: Also write the web page.

    Raises:
        WriteError: If nothing more can be written there.
    """
    if outcome.output is None:
        return outcome
    after = guard_stage(_write, subject, outcome, out, page)
    return replace(outcome, output=None) if outcome.counts == "skipped" else after


def _write(subject: Subject, outcome: ScanOutcome, out: Path, page: bool) -> ScanOutcome:
    assert outcome.output is not None
    with watch_disk(out, subject.name), work_on(subject.name), run_stage("writing"):
        if outcome.counts == "skipped":
            add_in_template(outcome.output, subject.naming, out, outcome.way)
        else:
            write_scan(outcome.output, subject.naming, out, page, outcome.preparation, outcome.way)
    return replace(outcome, output=None, preparation=None)
