"""Two visits of one person from their files to the folder of results: what ``diffad compare`` does."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from diffad.follow_up.alignment import Alignment, align_visits
from diffad.follow_up.checks import (
    are_same_scan,
    check_alignment,
    check_visit_contrasts,
    check_visit_models,
    list_visit_warnings,
)
from diffad.follow_up.comparison import Comparison, compare_images
from diffad.follow_up.noise import RescanNoise, strip_request
from diffad.follow_up.options import FollowUpOptions
from diffad.follow_up.record import FOLDER, read_comparison, write_comparison
from diffad.follow_up.rescans import BRAIN_END, pair_findings, write_rescans
from diffad.follow_up.sidecar import describe_interval, find_dates, list_scanner_warnings, read_sidecar
from diffad.follow_up.visit import FollowUpVisit, read_visit
from diffad.io.naming import RESULT_SUFFIXES
from diffad.io.nifti import stem
from diffad.io.stages import run_stage, work_on
from diffad.io.terminal import say
from diffad.io.version import __version__
from diffad.predict import Inputs, predict_scans
from diffad.predict.request import compare_requests


@dataclass(frozen=True)
class FollowUpSummary:
    """What came of a comparison.

    Args:
        record: What is stored of it.
        folder: Its folder.
        outcome: "done", "done before", or "kept" where it was made with other options.
    """

    record: dict[str, Any]
    folder: Path
    outcome: str


def compare_visits(options: FollowUpOptions) -> FollowUpSummary:
    """Compare two visits of one person; what is finished is left alone.

    Args:
        options: The visits, and how they are compared.

    Raises:
        ValueError: If a visit cannot be used, or the two cannot be compared; the files are named.
        OSError: If the results cannot be written.
        ImportError: If a package of the extra ``prepare`` is missing.
    """
    first, second = (_look(options, index) for index in (0, 1))
    check_visit_models(first, second)
    request = _describe_request(options, first, second)
    if (summary := _find_finished(options, request)) is not None:
        return summary
    with work_on(options.out.name or "comparison"):
        comparison = _compare(options, first, second)
        with run_stage("writing"):
            record = write_comparison(comparison, options.out, request, _link_pages(options), options.page)
    return FollowUpSummary(record, options.out / FOLDER, "done")


def _look(options: FollowUpOptions, index: int) -> FollowUpVisit:
    """Look at a visit, unless that was done before, and read its results."""
    path, folder = options.paths[index], options.out / f"visit-{index + 1}"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected the scan of visit {index + 1}, found no such file")
    _predict(options, [path], folder, f"visit {index + 1}")
    return read_visit(path, folder, stem(path), options.predict.reading)


def _predict(options: FollowUpOptions, paths: list[Path], folder: Path, what: str, **changes: Any) -> None:
    """Run predict over some scans.

    Raises:
        ValueError: If a scan has no finished results afterwards.
    """
    inputs = Inputs(
        paths,
        options.model,
        folder,
        options.mask,
        device=options.device,
        overwrite=options.overwrite,
        layout="plain",
        page=options.page,
        prepare=options.prepare,
        verify=options.verify,
    )
    summary = predict_scans(replace(inputs, **changes), options.predict)
    names = ", ".join(path.name for path in paths)
    if reasons := [*summary.failed.values(), *summary.absent.values()]:
        raise ValueError(f"{what}: {reasons[0]}")
    if summary.other:
        finding = f"results in {folder} that were made with other options; --overwrite makes them anew"
        raise ValueError(f"{what}: expected results of {names}, found {finding}")
    if summary.busy:
        raise ValueError(f"{what}: expected results of {names}, found another program at work on it")


def _describe_request(
    options: FollowUpOptions, first: FollowUpVisit, second: FollowUpVisit
) -> dict[str, Any]:
    return {
        "visits": [visit.info.get("request") for visit in (first, second)],
        "tolerance_mm": options.tolerance_mm,
        "rescan": options.rescan,
        "dates": list(options.dates),
        "same_person": options.same_person,
        "version": __version__,
    }


def _find_finished(options: FollowUpOptions, request: dict[str, Any]) -> FollowUpSummary | None:
    """Return a comparison that is there; none if it is to be made."""
    if options.overwrite:
        return None
    record, damage = read_comparison(options.out, options.verify)
    if damage:
        say(f"redoing the comparison: {damage}")
    if record is None:
        return None
    differences = compare_requests(record.get("request"), request)
    if differences:
        say(f"kept the comparison: made with other {', '.join(differences)}; --overwrite makes it anew")
    return FollowUpSummary(record, options.out / FOLDER, "kept" if differences else "done before")


def _compare(options: FollowUpOptions, first: FollowUpVisit, second: FollowUpVisit) -> Comparison:
    contrast, warnings = check_visit_contrasts(first, second)
    warnings = [*list_visit_warnings(first, second), *warnings]
    with run_stage("registration"):
        alignment = _align(options, first, second)
    warnings += check_alignment(alignment, first, second, options.same_person)
    sidecars = [read_sidecar(path) for path in options.paths]
    days, notes = describe_interval(find_dates(sidecars, options.dates))
    warnings += [*list_scanner_warnings(sidecars), *notes]
    noise, notes = _find_noise(options, first, contrast)
    warnings += notes
    for warning in warnings:
        say(f"warning: {warning}")
    facts = {"contrast": contrast, "days": days, "version": __version__}
    visits = (first, second)
    return compare_images(visits, alignment, noise, options.tolerance_mm, warnings, facts)


def _align(options: FollowUpOptions, first: FollowUpVisit, second: FollowUpVisit) -> Alignment:
    scans = (first.volume, first.brain, second.volume, second.brain)
    if are_same_scan(first, second):
        return Alignment.unmoved()
    return align_visits(*scans, seed=options.predict.seed)


def _find_noise(
    options: FollowUpOptions, first: FollowUpVisit, contrast: str
) -> tuple[RescanNoise | None, list[str]]:
    """Return what re-scanning does: measured on the first visit, or known of the model, or none."""
    shipped_noise = RescanNoise.shipped(strip_request(first.info["request"]), contrast)
    if not options.rescan:
        return shipped_noise, []
    noise = _measure_noise(options, first)
    if noise is None:
        return shipped_noise, [
            "the re-scans of the first visit have no finding in common, so their noise is unknown"
        ]
    return noise, []


def _measure_noise(options: FollowUpOptions, first: FollowUpVisit) -> RescanNoise | None:
    text = json.dumps([first.info["request"], options.tolerance_mm], sort_keys=True)
    folder = options.out / "rescans" / hashlib.sha256(text.encode()).hexdigest()[:8]
    paths = write_rescans(first, folder, options.rescan, options.predict.seed + 1)
    changes: dict[str, Any] = {"mask": BRAIN_END, "overwrite": False}
    if options.prepare is not None:
        changes["prepare"] = replace(options.prepare, brain="given")
    _predict(options, paths, folder / "results", "re-scan", **changes)
    rescans = [read_visit(path, folder / "results", stem(path)) for path in paths]
    findings = pair_findings([first, *rescans], options.predict.seed, options.tolerance_mm)
    words = f"{options.rescan} simulated re-scan{'s' * (options.rescan != 1)} of {first.path.name}"
    return RescanNoise.of(findings, words)


def _link_pages(options: FollowUpOptions) -> dict[str, str]:
    """Return the pages of the visits by name, as seen from the folder of the comparison."""
    if not options.page:
        return {}
    ends = [f"{stem(path)}{RESULT_SUFFIXES['page']}" for path in options.paths]
    return {f"Visit {n}": f"../visit-{n}/{quote(end)}" for n, end in enumerate(ends, 1)}
