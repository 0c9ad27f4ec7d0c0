"""A cohort of scans in, a folder of maps out: what is finished stays whole, whatever happens to the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from diffad.distributed import Process
from diffad.inference.precision import resolve_precision
from diffad.io.console import NORMAL, VERBOSE
from diffad.io.escape import escape_name
from diffad.io.stages import work_on
from diffad.io.subjects import Subject
from diffad.io.terminal import Progress
from diffad.pipeline import AnomalyPipeline
from diffad.predict.claims import ScanClaims
from diffad.predict.disk import watch_disk
from diffad.predict.load import count_voxels
from diffad.predict.looker import ScanLooker
from diffad.predict.options import Options as Options
from diffad.predict.outcome import PendingScan, ScanOutcome, describe_outcome, guard_stage
from diffad.predict.outcome import WriteError as WriteError
from diffad.predict.outcome_files import write_outcome
from diffad.predict.reader import ScanReader
from diffad.predict.results import ResultRow, Results
from diffad.predict.shelf import ModelSet, place_on_shelf
from diffad.predict.stages import run_overlapped
from diffad.predict.summary import CohortSummary as CohortSummary
from diffad.predict.waiting import wait_for_others

if TYPE_CHECKING:
    from diffad.prepare import PrepareOptions as PrepareOptions


class Cohort:
    """Runs one model with one set of options over scans, and writes a folder.

    A scan becomes ``NAME_anomaly.nii.gz``, ``NAME_mask.nii.gz``, ``NAME_twin.nii.gz``, ``NAME_seen.nii.gz``
    (the part of the brain that was looked at), ``NAME_std.nii.gz`` (where several twins were averaged),
    ``NAME_pvalue.nii.gz`` (where the model is calibrated), ``NAME_lesions.csv`` and ``.json``,
    ``NAME_report.png``, ``NAME_report.html`` and last ``NAME_info.json``; of a BIDS scan, see ``Naming``.
    The next scan is read while one is at the network and the last is written. Any number of programs may
    work on one folder: each scan is claimed by one of them, and the table is written by one at a time.

    Args:
        pipe: The model, or several of which each scan gets the one that it suits best.
        out: Folder of the results; made if absent.
        options: How scans are looked at.
        mask: Brain mask of all scans, or the end of the masks' names; none takes the non-zero voxels.
        region: Where twins may differ, or the end of the names of such files; none leaves it open.
        overwrite: Redo what is there.
        prepare: How scans are made ready first, results coming back to their own grid; none takes them as
            they are.
        page: Write a web page of each scan.
        share: Which of several processes this is; alone by default.
        verify: Compare the content of finished files with what was written, not only their size.
        in_template: Write results in the space of the template, too.
        keep_prepared: Folder in which prepared scans are kept; none keeps none.

    Raises:
        ValueError: If an option does not suit the model, or ``out`` holds another ``results.csv``.
        OSError: If ``out`` cannot be made.
    """

    def __init__(
        self,
        pipe: AnomalyPipeline | ModelSet,
        out: Path,
        options: Options,
        mask: str | Path | None = None,
        overwrite: bool = False,
        region: str | Path | None = None,
        *,
        prepare: PrepareOptions | None = None,
        page: bool = False,
        share: Process | None = None,
        verify: bool = False,
        in_template: bool = False,
        keep_prepared: Path | None = None,
    ) -> None:
        engine = options.engine or (pipe.engine.name if isinstance(pipe, AnomalyPipeline) else "torch")
        precision = resolve_precision(options.precision, pipe.device, engine)
        options = replace(options, precision=precision, engine=engine)
        self.out, self.options = out, options
        self.prepares, self.page, self.process = prepare is not None, page, share or Process()
        self.shelf = place_on_shelf(pipe, options)
        out.mkdir(parents=True, exist_ok=True)
        self.results, self.claims = Results(out / "results.csv"), ScanClaims(out)
        self._writing = partial(watch_disk, out)
        self.reader = ScanReader(
            out=out,
            shelf=self.shelf,
            options=options,
            mask=mask,
            region=region,
            prepare=prepare,
            overwrite=overwrite,
            verify=verify,
            claims=self.claims,
            writing=self._writing,
            in_template=in_template,
            keep_prepared=keep_prepared,
        )
        self.looker = ScanLooker(self.shelf, options, mask, in_template)

    def run(self, subjects: Sequence[Subject]) -> CohortSummary:
        """Look at every subject; one that cannot be used is reported, and the rest go on.

        Returns:
            What became of all scans, those of other processes too.

        Raises:
            WriteError: If results cannot be written; those of finished scans are whole.
        """
        self.summary, self._rows = CohortSummary(), dict[str, ResultRow]()
        own = self.process.shard(subjects)
        count_others = self._make_counter([escape_name(s.name) for s in subjects if s not in own])
        with Progress(len(subjects), count_others, quiet=not self.process.is_main) as progress:
            self._progress = progress
            try:
                run_once = partial(self._run_once, progress=progress)
                rest = wait_for_others(run_once(own), self.claims, run_once)
                self.summary.busy += [s.name for s in rest]
            finally:
                self.claims.release_all()
        return self._gather(subjects)

    def _run_once(self, subjects: Sequence[Subject], progress: Progress) -> list[Subject]:
        """Do what no other program is at work on, and return the rest."""
        rest: list[Subject] = []

        def work(subject: Subject, read: PendingScan | ScanOutcome) -> ScanOutcome:
            if isinstance(read, ScanOutcome) and read.row is None:
                return read
            with progress.scan(subject.name, concludes=False):
                return read if isinstance(read, ScanOutcome) else self._look(subject, read)

        def write(subject: Subject, outcome: ScanOutcome) -> None:
            if outcome.row is None:
                rest.append(subject)
            else:
                self._finish(subject, outcome)

        def size(subject: Subject) -> int:
            return count_voxels(subject.dicom or subject.paths, self.prepares)

        run_overlapped(subjects, self._read, work, write, size)
        return rest

    def _make_counter(self, names: Sequence[str]) -> Callable[[], int]:
        """Return what counts the scans that other processes have finished, by their rows in the table."""
        before = dict(self.results.rows)

        def count() -> int:
            if not names:
                return 0
            rows = self.results.read()
            return sum(rows.get(name) != before.get(name) for name in names)

        return count

    def _gather(self, subjects: Sequence[Subject]) -> CohortSummary:
        """Make sure that all rows of this run are in the table, and in order."""
        with self._writing("results.csv"):
            self.results.add(*self._rows.values())
            self.process.wait()
            if self.process.is_main:
                self.results.add(order=[s.name for s in subjects])
        return sum(self.process.gather([self.summary]), CohortSummary())

    def _read(self, subject: Subject) -> PendingScan | ScanOutcome:
        with work_on(subject.name):
            return guard_stage(self.reader.read, subject)

    def _look(self, subject: Subject, read: PendingScan) -> ScanOutcome:
        return guard_stage(self.looker.look, subject, read, self._progress.slices)

    def _finish(self, subject: Subject, outcome: ScanOutcome) -> None:
        """Write what was made; the last stage, so that the rows come in order."""
        outcome = write_outcome(subject, outcome, self.out, self.page)
        assert outcome.row is not None
        with self._writing("results.csv"):
            self.results.add(outcome.row)
        self._rows[subject.name] = outcome.row
        self.claims.release(subject.naming)
        self.summary.count_scan(subject.name, outcome.counts, outcome.row)
        fields = asdict(outcome.row) | {"scan": subject.name, "outcome": outcome.counts}
        level = NORMAL if outcome.counts in ("done", "failed") else VERBOSE
        self._progress.conclude(subject.name, describe_outcome(outcome), level, **fields)
