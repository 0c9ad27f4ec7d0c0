"""A cohort of scans in, a folder of maps out: what is finished stays whole, whatever happens to the rest."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from diffad import scans
from diffad.cohort.brains import head_warning, looked_at
from diffad.cohort.identity import MAPS, OPTIONAL, digest, fingerprint, stored
from diffad.cohort.options import Options as Options
from diffad.cohort.results import Results, Row
from diffad.cohort.subjects import Subject, mask_of
from diffad.output import AnomalyOutput
from diffad.pipeline import AnomalyPipeline
from diffad.precision import resolve
from diffad.progress import Progress, say, undisturbed
from diffad.registry import UnknownNameError

PARTS = ("sampler", "score", "noise", "guidance")
"""What a caller may put in the place of the model's own."""


class WriteError(OSError):
    """The results cannot be written, so there is no use in going on."""


@dataclass
class Summary:
    """Names of the scans by what became of them."""

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every scan now has the results that were asked for."""
        return not self.failed and not self.other

    def __str__(self) -> str:
        told = {"done": self.done, "done before": self.skipped, "kept from other options": self.other}
        counts = [f"{len(names)} {what}" for what, names in {**told, "failed": self.failed}.items() if names]
        return ", ".join(counts) or "nothing to do"


class Cohort:
    """Runs one model with one set of options over scans, and writes a folder.

    A scan becomes ``NAME_anomaly.nii.gz``, ``NAME_mask.nii.gz``, ``NAME_twin.nii.gz``, ``NAME_seen.nii.gz``
    (the part of the brain that was looked at), ``NAME_std.nii.gz`` (where several twins were averaged),
    ``NAME_pvalue.nii.gz`` (where the model is calibrated), ``NAME_report.png`` and last ``NAME_info.json``.

    Args:
        pipe: The model.
        out: Folder of the results; made if absent.
        options: How scans are looked at.
        mask: Brain mask of all scans, or the end of the masks' names; none takes the non-zero voxels.
        region: Where twins may differ, or the end of the names of such files; none leaves it open.
        overwrite: Redo what is there.

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
    ) -> None:
        options = replace(options, precision=resolve(options.precision, pipe.device))
        self.pipe, self.out, self.options, self.overwrite = pipe, out, options, overwrite
        self.mask, self.region = mask, region
        pipe.detector(
            **{part: getattr(options, part) for part in PARTS}
        )  # names and options fail here, at once
        if options.slices and pipe.config.space["axis"] == "volume":
            raise ValueError("expected no range of slices, as this model takes whole volumes")
        out.mkdir(parents=True, exist_ok=True)
        self.results = Results(out / "results.csv")
        self.model = fingerprint(pipe)

    def run(self, subjects: Sequence[Subject]) -> Summary:
        """Look at every subject; one that cannot be used is reported, and the rest go on.

        Raises:
            WriteError: If results cannot be written; those of finished scans are whole.
        """
        summary = Summary()
        with Progress(len(subjects)) as progress:
            self.pipe.progress_bar = progress.slices
            for subject in subjects:
                with progress.scan(subject.name):
                    self._settle(subject, summary)
        return summary

    def _settle(self, subject: Subject, summary: Summary) -> None:
        try:
            summary_list = getattr(summary, self._process(subject))
        except WriteError:
            raise
        except Exception as error:  # whatever is wrong with one scan must not cost the others
            message = describe(error)
            say(f"failed {subject.name}: {message}", error)
            self._row(Row(subject.name, "failed", error=message))
            summary_list = summary.failed
        summary_list.append(subject.name)

    def _process(self, subject: Subject) -> str:
        if subject.missing:
            found = ", ".join(p.name for p in subject.paths)
            raise ValueError(
                f"expected every sequence, found {found} but none for {', '.join(subject.missing)}"
            )
        mask, region = mask_of(subject, self.mask), mask_of(subject, self.region, "region")
        request = self._request(subject, mask, region)
        info = stored(self.out, subject.name)
        if info is not None and not self.overwrite:
            return self._keep(subject.name, info, request)
        output = self._detect(subject, mask, region)
        output.info |= {"scan": [str(p) for p in subject.paths], "request": request}
        with self._writing(subject.name):
            self._write(subject.name, output)
        self._row(Row.from_info(subject.name, output.info))
        return "done"

    def _request(self, subject: Subject, mask: Path | None, region: Path | None) -> dict[str, Any]:
        """Everything the maps follow from, as JSON gives it back."""
        asked = {k: v for k, v in asdict(self.options).items() if k != "batch_size"}
        asked |= {part: asked[part] or self.pipe.config[part] for part in PARTS}
        files = {"scan": [digest(p) for p in subject.paths], "mask": digest(mask) if mask else None}
        files |= {"region": digest(region)} if region else {}
        plain: dict[str, Any] = json.loads(json.dumps({"model": self.model, **asked, **files}))
        return plain

    def _keep(self, name: str, info: dict[str, Any], request: dict[str, Any]) -> str:
        self._row(Row.from_info(name, info))
        before = info.get("request") or {}
        changed = [key for key, value in request.items() if before.get(key) != value]
        if changed:
            say(f"kept {name}: made with other {', '.join(changed)}; --overwrite makes it anew")
        return "other" if changed else "skipped"

    def _detect(self, subject: Subject, mask: Path | None, region: Path | None) -> AnomalyOutput:
        source = scans.read(list(subject.paths), mask)
        assert source.volume is not None
        brain, ml = source.brain[0, 0].numpy(), float(abs(np.linalg.det(source.volume.affine[:3, :3]))) / 1000
        warnings = [w for w in [head_warning(brain, ml)] if w and mask is None]
        for warning in warnings:
            say(f"warning: {subject.name}: {warning}")
        output = self.pipe(source.volume, brain, region=region, **asdict(self.options))
        output.info |= {"axis": self.pipe.config.space["axis"], "slice_range": self.options.slices}
        output.info |= {"image_score": float(output.score[0]), "warnings": warnings}
        output.info["anomalous_ml"] = round(float(output.mask.sum()) * ml, 4)
        return output

    def _write(self, name: str, output: AnomalyOutput) -> None:
        """Write all files aside, then move them to their place in one go, what says they are whole last."""
        from diffad.report.montage import save_report

        aside = self.out / f".{name}.partial"
        shutil.rmtree(aside, ignore_errors=True)
        try:
            output.save(aside, name)
            assert output.volume is not None
            seen = looked_at(output.brain, output.info["axis"], self.options.slices)
            output.volume.save(seen[0], aside / f"{name}_seen.nii.gz", dtype=np.uint8)
            save_report(output, aside / f"{name}_report.png")
            with undisturbed():
                (self.out / f"{name}_info.json").unlink(missing_ok=True)
                for end in OPTIONAL:  # of other options
                    (self.out / f"{name}{end}").unlink(missing_ok=True)
                made = [end for end in OPTIONAL if (aside / f"{name}{end}").is_file()]
                for end in (*made, *MAPS, "_info.json"):
                    (aside / f"{name}{end}").replace(self.out / f"{name}{end}")
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _row(self, row: Row) -> None:
        with self._writing("results.csv"):
            self.results.add(row)

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            finished = "the files of finished scans are whole; run the same command to go on"
            raise WriteError(
                error.errno, f"{self.out}: cannot write {what} ({reason}); {finished}"
            ) from error


def describe(error: Exception) -> str:
    """Put an error into one line; one that is no complaint of ours says what it is."""
    text = " ".join(str(error).split())
    expected = (ValueError, UnknownNameError, FileNotFoundError)
    return text if isinstance(error, expected) and text else f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    from diffad.cli import main

    sys.exit(main(["predict", *sys.argv[1:]]))
