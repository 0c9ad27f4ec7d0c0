"""Many scans filled, each with its files; one that cannot be used ends no other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from diffad.data.volume import Array, Volume
from diffad.fill.detections import find_lesion
from diffad.fill.fill import FillOptions, fill_scan
from diffad.fill.finished import describe_fill_request, is_filled
from diffad.fill.picture import draw_filled
from diffad.fill.result import FilledScan
from diffad.fill.summary import FillSummary
from diffad.fill.voxels import write_filled
from diffad.io.atomic import write_bytes, write_text
from diffad.io.digests import describe_file
from diffad.io.subjects import Subject, find_subject_mask
from diffad.io.terminal import Progress, say
from diffad.io.version import __version__
from diffad.pipeline import AnomalyPipeline
from diffad.predict.load import load_scan
from diffad.prepare.options import PrepareOptions

REPORT_KEYS = ("model", "members", "seed", "nfe", "filled_ml", "share", "rim_step", "warnings")
"""What programs are told of a scan, by the keys of its record."""


@dataclass(frozen=True)
class FillRequest:
    """What is filled, and where it goes.

    Args:
        lesion: Lesion mask of all scans, the end of the masks' names, or a folder of results of predict.
        out: Folder of the results.
        brain: Brain mask, alike, or none.
        prepare: Whether the brain is found in a head first.
        overwrite: Redo what is there.
        options: How scans are filled.
    """

    lesion: str | Path
    out: Path
    brain: str | Path | None = None
    prepare: bool = False
    overwrite: bool = False
    options: FillOptions = field(default_factory=FillOptions)


def fill_scans(pipe: AnomalyPipeline, subjects: Sequence[Subject], request: FillRequest) -> FillSummary:
    """Fill scans one after the other, say what became of each, and return it."""
    request.out.mkdir(parents=True, exist_ok=True)
    summary = FillSummary()
    with Progress(len(subjects)) as progress:
        pipe.progress_bar = progress.slices
        for subject in subjects:
            with progress.scan(subject.name, concludes=False):
                try:
                    text, facts = _fill_one(pipe, subject, request)
                    outcomes = summary.fills if facts["outcome"] == "done" else summary.former_fills
                    outcomes.append(subject.name)
                except (ValueError, OSError) as error:
                    summary.fail(subject.name, error)
                    text, facts = "failed", {"outcome": "failed", "error": summary.failures[subject.name]}
            progress.conclude(subject.name, text, **facts)
    return summary


def write_results(result: FilledScan, out: Path, name: str) -> None:
    """Write a filled scan, what was filled, the spread, a picture, and last how it was filled."""
    record = out / f"{name}_filled.json"
    record.unlink(missing_ok=True)  # a fill that is stopped on its way is none
    outputs = [out / f"{name}_{end}" for end in ("filled.nii.gz", "fillmask.nii.gz", "filled.png")]
    write_filled(result, outputs[0])
    result.scan.save(result.region.fill_mask, outputs[1], np.uint8)
    write_bytes(outputs[2], draw_filled(result, name))
    if result.std is not None:
        outputs.append(out / f"{name}_fillstd.nii.gz")
        result.scan.save(result.std, outputs[-1])
    facts = result.info | {"scan": result.scan.name, "diffad": __version__}
    facts["outputs"] = {path.name: describe_file(path) for path in outputs}
    write_text(record, json.dumps(facts, indent=2) + "\n")


def _fill_one(pipe: AnomalyPipeline, subject: Subject, request: FillRequest) -> tuple[str, dict[str, Any]]:
    """Fill a scan if that is needed, and return what to say of it, to people and to programs."""
    name, path = subject.name.replace("/", "_"), subject.paths[0]
    record = request.out / f"{name}_filled.json"
    lesion, doubts = find_lesion(path, subject.name, request.lesion)
    brain_file = find_subject_mask(subject, request.brain)
    origin = describe_fill_request(pipe, [path], [lesion, brain_file], request.options)
    origin["prepare"] = request.prepare
    if not request.overwrite and is_filled(record, origin):
        facts = {"outcome": "done before", "record": str(record)}
        return "filled before; --overwrite makes it anew", facts
    volume, brain, notes = _load(path, brain_file, request.prepare)
    result = fill_scan(pipe, volume, lesion, brain, request.options)
    warnings = list(dict.fromkeys([*doubts, *notes, *result.info["warnings"]]))
    info = result.info | {"lesion": str(lesion), "request": origin, "warnings": warnings}
    write_results(replace(result, info=info), request.out, name)
    for warning in warnings:
        say(f"warning: {name}: {warning}")
    return _describe_fill(info), {key: info[key] for key in REPORT_KEYS} | {
        "outcome": "done",
        "record": str(record),
    }


def _describe_fill(info: Mapping[str, Any]) -> str:
    return (
        f"filled {info['filled_ml']:g} ml, {info['share']:.1%} of the brain; "
        f"step at the rim {info['rim_step']:+.3f}; {info['nfe']} evaluations a slice"
    )


def _load(path: Path, mask: Path | None, prepares: bool) -> tuple[Volume, Array, list[str]]:
    """Read a scan on its own grid with its brain, which is found in a head if asked for."""
    options = PrepareOptions(bias=False, brain="given" if mask else "", register="none", spacing=None)
    scan = load_scan([path], mask, options if prepares else None)
    if scan.preparation is None:
        return scan.volume, scan.brain, scan.warnings
    return Volume.load(path), scan.preparation.native_brain, scan.warnings
