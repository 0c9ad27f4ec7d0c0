"""A cohort of scans in, a folder of maps out: what is finished stays whole, whatever happens to the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffad.distributed import Process
from diffad.inference.output import AnomalyOutput
from diffad.inference.precision import resolve_precision
from diffad.io.console import NORMAL, VERBOSE
from diffad.io.escape import escape_name
from diffad.io.stages import run_stage, work_on
from diffad.io.subjects import Subject, find_subject_mask
from diffad.io.terminal import Progress, format_error, say
from diffad.pipeline import AnomalyPipeline
from diffad.predict.announce import Announcer
from diffad.predict.claims import ScanClaims
from diffad.predict.load import count_voxels
from diffad.predict.options import Options as Options
from diffad.predict.outcome import DISK_ERRORS, PendingScan, ScanOutcome, describe_outcome, fail_scan
from diffad.predict.outcome import WriteError as WriteError
from diffad.predict.reader import ScanReader
from diffad.predict.results import ResultRow, Results
from diffad.predict.shelf import ModelSet, place_on_shelf
from diffad.predict.stages import run_overlapped
from diffad.predict.summary import CohortSummary as CohortSummary
from diffad.predict.template_space import place_in_template
from diffad.predict.writer import add_in_template, write_scan

if TYPE_CHECKING:
    from diffad.prepare import PrepareOptions as PrepareOptions

PATIENCE_SECONDS = 120.0
"""How long to wait for scans that other programs are at work on, while these give no sign of life."""

POLL_SECONDS = 0.5
"""How often to look whether it is."""


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
        self.in_template = in_template
        self.shelf = place_on_shelf(pipe, options)
        out.mkdir(parents=True, exist_ok=True)
        self.results, self.claims = Results(out / "results.csv"), ScanClaims(out)
        self.announcer = Announcer()
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
            self._progress, self._progress_bar = progress, progress.slices
            try:
                self._run_rest(self._run_once(own, progress), progress)
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
                return read if isinstance(read, ScanOutcome) else self._guard(self._look, subject, read)

        def write(subject: Subject, outcome: ScanOutcome) -> None:
            if outcome.row is None:
                rest.append(subject)
            else:
                self._finish(subject, outcome)

        def size(subject: Subject) -> int:
            return count_voxels(subject.dicom or subject.paths, self.prepares)

        run_overlapped(subjects, self._read, work, write, size)
        return rest

    def _run_rest(self, rest: list[Subject], progress: Progress) -> None:
        """Wait for scans that other programs are at work on; what they leave unfinished is done here."""
        if rest:
            say(f"waiting for {len(rest)} scans that {self.claims.describe_holder(rest[0].naming)} is at")
        end, signs = time.monotonic() + PATIENCE_SECONDS, self._read_signs(rest)
        while rest and time.monotonic() < end:
            if free := [s for s in rest if self.claims.is_free(s.naming)]:
                rest = [s for s in rest if s not in free] + self._run_once(free, progress)
            else:
                time.sleep(POLL_SECONDS)
            if free or self._read_signs(rest) != signs:
                end, signs = time.monotonic() + PATIENCE_SECONDS, self._read_signs(rest)
        if rest:
            holder = self.claims.describe_holder(rest[0].naming)
            say(f"gave up {len(rest)} scans: {holder} has them and gives no sign of life; end it and rerun")
        self.summary.busy += [s.name for s in rest]

    def _read_signs(self, subjects: Sequence[Subject]) -> list[int]:
        return self.claims.read_signs([subject.naming for subject in subjects])

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

    def _guard(self, stage: Any, subject: Subject, *rest: Any) -> Any:
        """Run a stage; whatever is wrong with one scan must not cost the others."""
        try:
            return stage(subject, *rest)
        except WriteError:
            raise
        except Exception as error:
            message = format_error(error)
            say(f"failed {subject.name}: {message}", error)
            return fail_scan(subject.name, message)

    def _read(self, subject: Subject) -> PendingScan | ScanOutcome:
        with work_on(subject.name):
            outcome: PendingScan | ScanOutcome = self._guard(self.reader.read, subject)
        return outcome

    def _look(self, subject: Subject, read: PendingScan) -> ScanOutcome:
        output = self._detect(subject, read)
        mask = find_subject_mask(subject, self.reader.mask)
        output.info |= {"scan": [str(p) for p in subject.paths], "request": read.request}
        output.info |= {"brain_mask": str(mask)} if mask else {}
        if subject.dicom:
            output.info["dicom"] = subject.dicom.to_info()
        if read.choice.name:
            output.info["model_choice"] = read.choice.to_info()
        way = place_in_template(output, subject.name) if self.in_template else None
        row = ResultRow.from_info(subject.name, output.info)
        return ScanOutcome(row, "done", output, read.ready.draw_preparation(), way)

    def _detect(self, subject: Subject, read: PendingScan) -> AnomalyOutput:
        scan, choice = read.ready, read.choice
        if choice.name:
            say(f"{subject.name}: the model {choice.name}, as {choice.reason}")
        pipe = self.shelf.take(choice).pipe
        pipe.progress_bar = self._progress_bar
        with self.shelf.lock, run_stage("slices"):
            output = pipe(scan.volume, scan.brain, region=read.region, **self.options.call())
        warnings = list(dict.fromkeys([*scan.warnings, *output.info.get("warnings", [])]))
        output.info |= {"image_score": float(output.score[0]), "warnings": warnings}
        self.announcer.announce(subject.name, output.info)
        output = scan.back(output)
        assert output.volume is not None
        output.info["anomalous_ml"] = round(float(output.mask.sum()) * output.volume.voxel_ml, 4)
        return output

    def _finish(self, subject: Subject, outcome: ScanOutcome) -> None:
        """Write what was made; the last stage, so that the rows come in order."""
        if outcome.output is not None:
            outcome = self._keep_finished(outcome, self._guard(self._write, subject, outcome))
        assert outcome.row is not None
        with self._writing("results.csv"):
            self.results.add(outcome.row)
        self._rows[subject.name] = outcome.row
        self.claims.release(subject.naming)
        if outcome.counts == "failed":
            self.summary.failed[subject.name] = outcome.row.error
        else:
            getattr(self.summary, outcome.counts).append(subject.name)
        self.summary.note_row(subject.name, outcome.row)
        fields = asdict(outcome.row) | {"scan": subject.name, "outcome": outcome.counts}
        level = NORMAL if outcome.counts in ("done", "failed") else VERBOSE
        self._progress.conclude(subject.name, describe_outcome(outcome), level, **fields)

    @staticmethod
    def _keep_finished(before: ScanOutcome, after: ScanOutcome) -> ScanOutcome:
        """Return what became of a scan; one that was finished before stays so if nothing can be added."""
        return replace(before, output=None) if before.counts == "skipped" else after

    def _write(self, subject: Subject, outcome: ScanOutcome) -> ScanOutcome:
        assert outcome.output is not None
        with self._writing(subject.name), work_on(subject.name), run_stage("writing"):
            if outcome.counts == "skipped":
                add_in_template(outcome.output, subject.naming, self.out, outcome.way)
            else:
                picture = outcome.preparation
                write_scan(outcome.output, subject.naming, self.out, self.page, picture, outcome.way)
        return replace(outcome, output=None, preparation=None)

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        """Tell a disk that takes nothing any more from a scan that cannot be written."""
        try:
            yield
        except OSError as error:
            if error.errno not in DISK_ERRORS and what != "results.csv":
                raise
            reason = error.strerror or str(error)
            hint = "the files of finished scans are whole; run the same command to go on"
            raise WriteError(error.errno, f"{self.out}: cannot write {what} ({reason}); {hint}") from error
