"""The second stage of a cohort: a scan that was read is looked at by its model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffad.inference.output import AnomalyOutput
from diffad.io.stages import run_stage
from diffad.io.subjects import Subject, find_subject_mask
from diffad.io.terminal import say
from diffad.predict.announce import Announcer
from diffad.predict.options import Options
from diffad.predict.outcome import PendingScan, ScanOutcome
from diffad.predict.results import ResultRow
from diffad.predict.shelf import ModelShelf
from diffad.predict.template_space import place_in_template


@dataclass(frozen=True)
class ScanLooker:
    """Looks at scans, says what came out, and makes the row of each.

    Args:
        shelf: The model of each scan.
        options: How scans are looked at.
        mask: Brain mask of all scans, or the end of the masks' names, or none.
        in_template: Whether results are written in the space of the template, too.
        announcer: Says what became of each scan.
    """

    shelf: ModelShelf
    options: Options
    mask: str | Path | None
    in_template: bool
    announcer: Announcer = field(default_factory=Announcer)

    def look(self, subject: Subject, read: PendingScan, progress_bar: Callable[[int], Any]) -> ScanOutcome:
        """Look at a scan that was read, and return what is to be written of it.

        Args:
            subject: The scan.
            read: What was read of it.
            progress_bar: Given the number of slices, counts them.

        Raises:
            ValueError: If the model cannot look at it.
        """
        output = self._detect(subject, read, progress_bar)
        mask = find_subject_mask(subject, self.mask)
        output.info |= {"scan": [str(p) for p in subject.paths], "request": read.request}
        output.info |= {"brain_mask": str(mask)} if mask else {}
        if subject.dicom:
            output.info["dicom"] = subject.dicom.to_info()
        if read.choice.name:
            output.info["model_choice"] = read.choice.to_info()
        way = place_in_template(output, subject.name) if self.in_template else None
        row = ResultRow.from_info(subject.name, output.info)
        return ScanOutcome(row, "done", output, read.ready.draw_preparation(), way)

    def _detect(
        self, subject: Subject, read: PendingScan, progress_bar: Callable[[int], Any]
    ) -> AnomalyOutput:
        scan, choice = read.ready, read.choice
        if choice.name:
            say(f"{subject.name}: the model {choice.name}, as {choice.reason}")
        pipe = self.shelf.take(choice).pipe
        pipe.progress_bar = progress_bar
        with self.shelf.lock, run_stage("slices"):
            output = pipe(scan.volume, scan.brain, region=read.region, **self.options.call())
        warnings = list(dict.fromkeys([*scan.warnings, *output.info.get("warnings", [])]))
        output.info |= {"image_score": float(output.score[0]), "warnings": warnings}
        self.announcer.announce(subject.name, output.info)
        output = scan.back(output)
        assert output.volume is not None
        output.info["anomalous_ml"] = round(float(output.mask.sum()) * output.volume.voxel_ml, 4)
        return output
