"""A cohort of scans in, a folder of maps out: what is finished stays whole, whatever happens to the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffad.distributed import Process
from diffad.inference.output import AnomalyOutput
from diffad.inference.precision import resolve_precision
from diffad.io.subjects import Subject, find_subject_mask
from diffad.io.terminal import Progress, format_error, say
from diffad.pipeline import AnomalyPipeline
from diffad.predict.load import LoadedScan, count_voxels, load_scan
from diffad.predict.options import Options as Options
from diffad.predict.provenance import hash_file, hash_model, read_stored_info
from diffad.predict.results import ResultRow, Results
from diffad.predict.stages import run_overlapped
from diffad.predict.summary import CohortSummary as CohortSummary
from diffad.predict.writer import write_scan

if TYPE_CHECKING:
    from diffad.prepare import PrepareOptions as PrepareOptions


class WriteError(OSError):
    """The results cannot be written, so there is no use in going on."""


@dataclass
class PendingScan:
    """A scan that is to be looked at: what is asked of it, and what was read."""

    request: dict[str, Any]
    region: Path | None
    ready: LoadedScan


@dataclass
class ScanOutcome:
    """What became of a scan: its row in the table, where in the summary it counts, what is to be written."""

    row: ResultRow
    counts: str
    output: AnomalyOutput | None = None


class Cohort:
    """Runs one model with one set of options over scans, and writes a folder.

    A scan becomes ``NAME_anomaly.nii.gz``, ``NAME_mask.nii.gz``, ``NAME_twin.nii.gz``, ``NAME_seen.nii.gz``
    (the part of the brain that was looked at), ``NAME_std.nii.gz`` (where several twins were averaged),
    ``NAME_pvalue.nii.gz`` (where the model is calibrated), ``NAME_lesions.csv`` and ``.json``,
    ``NAME_report.png``, ``NAME_report.html`` and last ``NAME_info.json``; of a BIDS scan, see ``Naming``.
    The next scan is read while one is at the network and the last is written.

    Args:
        pipe: The model.
        out: Folder of the results; made if absent.
        options: How scans are looked at.
        mask: Brain mask of all scans, or the end of the masks' names; none takes the non-zero voxels.
        region: Where twins may differ, or the end of the names of such files; none leaves it open.
        overwrite: Redo what is there.
        prepare: How scans are made ready first, results coming back to their own grid; none takes them as
            they are.
        page: Write a web page of each scan.
        share: Which of several processes this is; alone by default.

    Raises:
        ValueError: If an option does not suit the model, or ``out`` holds another ``results.csv``.
        OSError: If ``out`` cannot be made.
    """

    def __init__(
        self,
        pipe: AnomalyPipeline,
        out: Path,
        options: Options,
        mask: str | Path | None = None,
        overwrite: bool = False,
        region: str | Path | None = None,
        *,
        prepare: PrepareOptions | None = None,
        page: bool = False,
        share: Process | None = None,
    ) -> None:
        options = replace(options, precision=resolve_precision(options.precision, pipe.device))
        self.pipe, self.out, self.options, self.overwrite = pipe, out, options, overwrite
        self.mask, self.region, self.prepare, self.page = mask, region, prepare, page
        self.process = share or Process()
        pipe.detector(options.method)  # names and options fail here, at once
        if options.slices and pipe.config.space["axis"] == "volume":
            raise ValueError("expected no range of slices, as this model takes whole volumes")
        out.mkdir(parents=True, exist_ok=True)
        self.results = self._open_table()
        self.model = hash_model(pipe)

    def _open_table(self) -> Results:
        """Open the table of all; one of several processes keeps its own beside it until the end."""
        whole = Results(self.out / "results.csv")
        if self.process.is_main:
            whole.merge(sorted(self.out.glob(".results-*.csv")))
        self.process.wait()
        return whole if self.process.world_size == 1 else Results(self._part_path(self.process.rank))

    def _part_path(self, index: int) -> Path:
        return self.out / f".results-{index}.csv"

    def run(self, subjects: Sequence[Subject]) -> CohortSummary:
        """Look at every subject; one that cannot be used is reported, and the rest go on.

        Returns:
            What became of all scans, those of other processes too.

        Raises:
            WriteError: If results cannot be written; those of finished scans are whole.
        """
        self.summary = CohortSummary()
        with Progress(len(subjects), self._count_others, quiet=not self.process.is_main) as progress:
            self.pipe.progress_bar = progress.slices

            def work(subject: Subject, read: PendingScan | ScanOutcome) -> ScanOutcome:
                with progress.scan(subject.name):
                    return read if isinstance(read, ScanOutcome) else self._guard(self._look, subject, read)

            def size(subject: Subject) -> int:
                return count_voxels(subject.paths, self.prepare is not None)

            run_overlapped(self.process.shard(subjects), self._read, work, self._finish, size)
        return self._gather(subjects)

    def _count_others(self) -> int:
        """Count what other processes have finished, by the lines of their tables."""
        parts = [self._part_path(i) for i in range(self.process.world_size) if i != self.process.rank]
        return sum(max(0, p.read_text(encoding="utf-8").count("\n") - 1) for p in parts if p.is_file())

    def _gather(self, subjects: Sequence[Subject]) -> CohortSummary:
        self.process.wait()
        if self.process.is_main:
            with self._writing("results.csv"):
                whole = Results(self.out / "results.csv")
                whole.merge(sorted(self.out.glob(".results-*.csv")), [s.name for s in subjects])
                self.results = whole
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
            return ScanOutcome(ResultRow(subject.name, "failed", error=message), "failed")

    def _read(self, subject: Subject) -> PendingScan | ScanOutcome:
        outcome: PendingScan | ScanOutcome = self._guard(self._read_one, subject)
        return outcome

    def _read_one(self, subject: Subject) -> PendingScan | ScanOutcome:
        if subject.missing:
            present = ", ".join(p.name for p in subject.paths) or "no scan"
            raise ValueError(
                f"expected every sequence, found {present} but none for {', '.join(subject.missing)}"
            )
        mask, region = (
            find_subject_mask(subject, self.mask),
            find_subject_mask(subject, self.region, "region"),
        )
        request = self._request(subject, mask, region)
        info = read_stored_info(subject.naming.files(self.out))
        if info is not None and not self.overwrite:
            return self._keep(subject.name, info, request)
        is_region, reading = region is not None, self.options.reading
        scan = load_scan(subject.paths, mask, self.prepare, is_region, reading=reading)
        return PendingScan(request, region, scan)

    def _request(self, subject: Subject, mask: Path | None, region: Path | None) -> dict[str, Any]:
        """Everything the maps follow from, as JSON gives it back."""
        request = self.options.to_request()
        request |= self.options.method.over(self.pipe.method).to_dict()
        request |= {"prepare": asdict(self.prepare) | {"threads": 0}} if self.prepare else {}
        files = {"scan": [hash_file(p) for p in subject.paths], "mask": hash_file(mask) if mask else None}
        files |= {"region": hash_file(region)} if region else {}
        plain_request: dict[str, Any] = json.loads(json.dumps({"model": self.model, **request, **files}))
        return plain_request

    def _keep(self, name: str, info: dict[str, Any], request: dict[str, Any]) -> ScanOutcome:
        before = info.get("request") or {}
        differences = [key for key in {**request, **before} if before.get(key) != request.get(key)]
        if differences:
            say(f"kept {name}: made with other {', '.join(differences)}; --overwrite makes it anew")
        return ScanOutcome(ResultRow.from_info(name, info), "other" if differences else "skipped")

    def _look(self, subject: Subject, read: PendingScan) -> ScanOutcome:
        output = self._detect(subject, read.ready, read.region)
        output.info |= {"scan": [str(p) for p in subject.paths], "request": read.request}
        return ScanOutcome(ResultRow.from_info(subject.name, output.info), "done", output)

    def _detect(self, subject: Subject, scan: LoadedScan, region: Path | None) -> AnomalyOutput:
        for warning in scan.warnings:
            say(f"warning: {subject.name}: {warning}")
        output = self.pipe(scan.volume, scan.brain, region=region, **self.options.call())
        output.info |= {
            "image_score": float(output.score[0]),
            "warnings": [*scan.warnings, *output.info.get("warnings", [])],
        }
        output = scan.back(output)
        assert output.volume is not None
        output.info["anomalous_ml"] = round(float(output.mask.sum()) * output.volume.voxel_ml, 4)
        return output

    def _finish(self, subject: Subject, outcome: ScanOutcome) -> None:
        """Write what was made; the last stage, so that the rows come in order."""
        if outcome.output is not None:
            with self._writing(subject.name):
                write_scan(outcome.output, subject.naming, self.out, self.page)
        with self._writing("results.csv"):
            self.results.add(outcome.row)
        if outcome.counts == "failed":
            self.summary.failed[subject.name] = outcome.row.error
        else:
            getattr(self.summary, outcome.counts).append(subject.name)

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            hint = "the files of finished scans are whole; run the same command to go on"
            raise WriteError(error.errno, f"{self.out}: cannot write {what} ({reason}); {hint}") from error
