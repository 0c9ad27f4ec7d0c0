"""The level of participants: every scan of the data set gets its maps."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from diffad.bids_app.filters import Query, list_queries, read_filters
from diffad.bids_app.inputs import AppInputs, check_folders, require_dataset
from diffad.bids_app.resources import plan_workers
from diffad.bids_app.selection import Selection, choose_participants, choose_sessions, select_scans
from diffad.bids_app.validation import validate_dataset
from diffad.bids_app.workers import share_scans
from diffad.io.escape import escape_name
from diffad.io.search import list_names
from diffad.io.terminal import say
from diffad.predict.dataset import ignore_folder
from diffad.predict.index import write_cohort
from diffad.predict.listing import describe_absent
from diffad.predict.options import Inputs, Options
from diffad.predict.results import ResultRow, Results
from diffad.predict.run import choose_device
from diffad.predict.summary import CohortSummary


def run_participants(app: AppInputs, inputs: Inputs, options: Options) -> CohortSummary:
    """Look at the scans of all participants that were asked for; what is finished is left alone.

    Args:
        app: What is asked for.
        inputs: How scans are looked at; its sources are replaced by the scans that are chosen.
        options: Options of the model.

    Raises:
        ValueError: If there is no such data set, label or scan, the data set is not valid, or an option
            cannot be used.
        OSError: If results cannot be written.
    """
    require_dataset(app.root, app.out)
    check_folders(app)
    participants = choose_participants(app.root, app.participants)
    sessions = choose_sessions(app.root, participants, app.sessions)
    is_ct = inputs.prepare is not None and inputs.prepare.modality == "ct"
    queries = list_queries("ct" if is_ct else "mri", inputs.sequences)
    if app.filter_file is not None:
        queries, other_names = read_filters(app.filter_file, queries)
        if other_names:
            say(f"note: {app.filter_file}: passed over the queries {', '.join(other_names)}")
    selection = select_scans(app.root, participants, sessions, queries)
    _require_scans(app, selection, queries)
    for query in queries:
        if query.conditions and query.name not in selection.answered_queries:
            say(f"warning: {app.filter_file}: no scan is {query}")
    with use_work_folder(app.work):
        if not app.skips_validation:
            validate_dataset(app.root, participants, app.work)
        return _look_at_all(app, inputs, options, selection)


def _look_at_all(app: AppInputs, inputs: Inputs, options: Options, selection: Selection) -> CohortSummary:
    scans = [paths for paths in selection.scans.values() if paths]
    plan = plan_workers(app.nprocs, app.mem_gb, len(scans), choose_device(inputs.device) != "cpu")
    if plan.warning:
        say(f"warning: {plan.warning}")
    say(f"{len(scans)} participant{'s' if len(scans) != 1 else ''} to look at, in {plan}")
    if inputs.prepare is not None:
        prepare = replace(inputs.prepare, threads=plan.threads)
        inputs = replace(inputs, prepare=prepare, keep_prepared=app.work and app.work / "prepared")
    summary = share_scans(scans, inputs, options, plan)
    if app.work:
        ignore_folder(app.out, app.work)
    _record_absent(app.out, selection, summary, inputs.page)
    return summary


def _require_scans(app: AppInputs, selection: Selection, queries: Sequence[Query]) -> None:
    """Refuse a data set, or a filter file, that leaves nothing to look at.

    Raises:
        ValueError: With what was asked for.
    """
    if selection.paths:
        return
    if gaps := [name for name, why in selection.absent.items() if why.startswith("no content")]:
        raise ValueError(f"{app.root}: expected scans, found none with content: {list_names(gaps)}")
    demand = " or ".join(map(str, queries))
    rest = f"; passed over {list_names(p.name for p in selection.others)}" if selection.others else ""
    if app.filter_file is not None:
        raise ValueError(
            f"{app.filter_file}: expected scans that are {demand}, found none in {app.root}{rest}"
        )
    raise ValueError(f"{app.root}: expected scans that are {demand} in sub-*/anat, found none{rest}")


def _record_absent(out: Path, selection: Selection, summary: CohortSummary, page: bool) -> None:
    """Give participants without a scan a row in the table, unless it has results of theirs, and say so."""
    results = Results(out / "results.csv")
    rows = [ResultRow(name, "failed", error=reason) for name, reason in selection.absent.items()]
    finished_scans = [name for name, row in results.rows.items() if row.get("status") == "ok"]
    results.add(*(row for row in rows if escape_name(row.scan) not in finished_scans))
    summary.absent |= selection.absent
    total = len(selection.paths) + len(selection.absent)
    summary.notes = list(dict.fromkeys([*describe_absent(selection.absent, total), *summary.notes]))
    if selection.others:
        names = list_names(path.name for path in selection.others)
        summary.notes.append(f"passed over {len(selection.others)} scans of other kinds: {names}")
    if page:
        write_cohort(out, [], results.rows)


@contextmanager
def use_work_folder(work: Path | None) -> Iterator[None]:
    """Let scratch of this process, and of those it starts, lie in a folder.

    Raises:
        OSError: If it cannot be made.
    """
    if work is None:
        yield
        return
    scratch, before = work / "tmp", os.environ.get("TMPDIR")
    scratch.mkdir(parents=True, exist_ok=True)
    os.environ["TMPDIR"], tempfile.tempdir = str(scratch), None
    try:
        yield
    finally:
        tempfile.tempdir = None
        os.environ.pop("TMPDIR")
        if before is not None:
            os.environ["TMPDIR"] = before
