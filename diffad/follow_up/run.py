"""Two visits of one person from their files to the folder of results: what ``diffad compare`` does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from diffad.follow_up.alignment import Alignment, align_visits
from diffad.follow_up.checks import check_alignment, check_visit_contrasts, check_visit_models
from diffad.follow_up.comparison import Comparison, compare_images
from diffad.follow_up.known_noise import find_noise
from diffad.follow_up.look import look_at_visit
from diffad.follow_up.oddities import are_same_scan, list_visit_warnings
from diffad.follow_up.options import FollowUpOptions
from diffad.follow_up.record import FOLDER, read_comparison, write_comparison
from diffad.follow_up.sidecar import describe_interval, find_dates, list_scanner_warnings, read_sidecar
from diffad.follow_up.visit import FollowUpVisit
from diffad.io.naming import RESULT_SUFFIXES
from diffad.io.nifti import stem
from diffad.io.stages import run_stage, work_on
from diffad.io.terminal import say
from diffad.io.version import __version__
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
    first, second = (look_at_visit(options, index) for index in (0, 1))
    check_visit_models(first, second)
    request = _describe_request(options, first, second)
    if (summary := _find_finished(options, request)) is not None:
        return summary
    with work_on(options.out.name or "comparison"):
        comparison = _compare(options, first, second)
        with run_stage("writing"):
            record = write_comparison(comparison, options.out, request, _link_pages(options), options.page)
    return FollowUpSummary(record, options.out / FOLDER, "done")


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
    noise, notes = find_noise(options, (first, second), contrast)
    warnings += notes
    for warning in warnings:
        say(f"warning: {warning}")
    facts = {"contrast": contrast, "days": days, "version": __version__}
    visits = (first, second)
    return compare_images(visits, alignment, noise, options.tolerance_mm, warnings, facts)


def _align(options: FollowUpOptions, first: FollowUpVisit, second: FollowUpVisit) -> Alignment:
    scans = (first.volume, first.brain, second.volume, second.brain)
    if are_same_scan(first, second):
        return Alignment.identity()
    return align_visits(*scans, seed=options.predict.seed)


def _link_pages(options: FollowUpOptions) -> dict[str, str]:
    """Return the pages of the visits by name, as seen from the folder of the comparison."""
    if not options.page:
        return {}
    ends = [f"{stem(path)}{RESULT_SUFFIXES['page']}" for path in options.paths]
    return {f"Visit {n}": f"../visit-{n}/{quote(end)}" for n, end in enumerate(ends, 1)}
