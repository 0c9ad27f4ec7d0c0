"""Many scans painted, each with its files; one that cannot be used ends no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from diffad.data.implants.write import name_run
from diffad.fill.finished import is_filled
from diffad.fill.summary import FillSummary
from diffad.inference.scan import ScanSource, read_source
from diffad.io.digests import hash_file
from diffad.io.subjects import Subject, find_subject_mask
from diffad.io.terminal import Progress, say
from diffad.predict.load import load_scan
from diffad.synthesise.options import SynthesisOptions
from diffad.synthesise.painters import ScanPainter
from diffad.synthesise.regions import read_region
from diffad.synthesise.result import SynthesisedScan
from diffad.synthesise.set_table import write_set_table
from diffad.synthesise.write import name_record, write_synthesis

REPORT_KEYS = ("model", "seed", "nfe", "region_ml", "label_ml", "change", "warnings")
"""What programs are told of a scan, by the keys of its record."""


@dataclass(frozen=True)
class SynthesisRequest:
    """What is painted, and where it goes.

    Args:
        out: Folder of the results.
        region: Where scans may change: a mask of all, or the end of the masks' names; none draws a shape.
        brain: Brain mask, alike, or none.
        count: Scans made of each, whose seeds follow one another.
        overwrite: Redo what is there.
        options: How it is painted.
    """

    out: Path
    region: str | Path | None = None
    brain: str | Path | None = None
    count: int = 1
    overwrite: bool = False
    options: SynthesisOptions = field(default_factory=lambda: SynthesisOptions(label=1))


class SynthesisSummary(FillSummary):
    """What became of all that was to be painted."""

    def __str__(self) -> str:
        count = len(self.fills) + len(self.former_fills)
        return f"painted {count} of {count + len(self.failures)} scans"


def synthesise_scans(
    painter: ScanPainter, subjects: Sequence[Subject], request: SynthesisRequest
) -> SynthesisSummary:
    """Paint scans one after the other, say what became of each, and return it.

    Args:
        painter: What paints.
        subjects: The scans.
        request: Where, how often, and how.
    """
    request.out.mkdir(parents=True, exist_ok=True)
    summary, jobs = SynthesisSummary(), [(s, run) for s in subjects for run in range(request.count)]
    with Progress(len(jobs)) as progress:
        for subject, run in jobs:
            name = _name_result(subject, run, request.count)
            with progress.scan(name, concludes=False):
                try:
                    text, facts = _paint_one(painter, subject, name, run, request)
                    outcomes = summary.fills if facts["outcome"] == "done" else summary.former_fills
                    outcomes.append(name)
                except (ValueError, OSError) as error:
                    summary.fail(name, error)
                    text, facts = "failed", {"outcome": "failed", "error": summary.failures[name]}
            progress.conclude(name, text, **facts)
    write_set_table(request.out)
    return summary


def _name_result(subject: Subject, run: int, count: int) -> str:
    name = subject.name.replace("/", "_")
    return name if count == 1 else name_run(name, run + 1)


def _paint_one(
    painter: ScanPainter, subject: Subject, name: str, run: int, request: SynthesisRequest
) -> tuple[str, dict[str, Any]]:
    """Paint a scan if that is needed, and return what to say of it, to people and to programs."""
    options = replace(request.options, seed=request.options.seed + run)
    record = name_record(request.out, name)
    masks = [
        find_subject_mask(subject, request.region, "region"),
        find_subject_mask(subject, request.brain),
    ]
    origin = _describe_request(painter, [subject.paths[0], *masks], options)
    if not request.overwrite and is_filled(record, origin, "synthesis"):
        facts = {"outcome": "done before", "record": str(record)}
        return "painted before; --overwrite makes it anew", facts
    reading = load_scan([subject.paths[0]], masks[1], None)
    source = read_source(reading.volume, reading.brain)
    source = replace(source, warnings=tuple(reading.warnings))
    result = paint_scan(painter, source, masks[0], options)
    result = replace(result, info=result.info | {"request": origin})
    write_synthesis(result, request.out, name)
    for warning in result.info["warnings"]:
        say(f"warning: {name}: {warning}")
    report = {key: result.info[key] for key in REPORT_KEYS}
    return _describe_result(result), report | {"outcome": "done", "record": str(record)}


def paint_scan(
    painter: ScanPainter, source: ScanSource, region: Path | None, options: SynthesisOptions
) -> SynthesisedScan:
    """Paint one scan, and gather what is known of it.

    Args:
        painter: What paints.
        source: The scan.
        region: Mask of where it may change; none draws a shape.
        options: How it is painted.

    Raises:
        ValueError: If the scan or the mask cannot be used.
    """
    assert source.volume is not None
    if source.image.shape[1] != 1:
        raise ValueError(f"{source.name}: expected one sequence, found {source.image.shape[1]}")
    place, notes = (painter.draw(source, options), []) if region is None else read_region(source, region)
    result = painter.paint(source, place, options)
    ml = source.volume.voxel_ml
    facts = {
        "strength": options.own_strength,
        "scale": options.own_scale,
        "inference_steps": options.inference_steps,
        "seed": options.seed,
        "visible": options.visible,
        "region_ml": round(float(place.fill_mask.sum()) * ml, 4),
        "label_ml": round(float(result.label.sum()) * ml, 4),
        "change": round(result.info["change"], 5),
    }
    warnings = [*notes, *result.info["warnings"]]
    if not result.label.any():
        warnings.append(
            "nothing became visible in the region: the label is empty; try another seed or more strength"
        )
    return replace(result, info=result.info | facts | {"warnings": list(dict.fromkeys(warnings))})


def _describe_result(result: SynthesisedScan) -> str:
    facts = result.info
    return (
        f"{facts['label_ml']:g} of {facts['region_ml']:g} ml became visible; "
        f"mean change {facts['change']:.1%} of the window; {facts['nfe']} evaluations a slice"
    )


def _describe_request(
    painter: ScanPainter, files: Sequence[Path | None], options: SynthesisOptions
) -> dict[str, Any]:
    """Return what a result follows from: model, content of the files, and options."""
    values = {key: value for key, value in asdict(options).items() if key != "batch_size"}
    return {"model": painter.describe(), "files": [hash_file(f) if f else "" for f in files], **values}
