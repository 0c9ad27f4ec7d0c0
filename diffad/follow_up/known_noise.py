"""What re-scanning does to two visits: measured on the first, or shipped with the model, or unknown."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from diffad.follow_up.look import predict_visits
from diffad.follow_up.matching import TOLERANCE
from diffad.follow_up.noise import RescanNoise, strip_request
from diffad.follow_up.noise_bins import LEAST_PAIRS
from diffad.follow_up.options import FollowUpOptions
from diffad.follow_up.rescans import BRAIN_END, pair_findings, write_rescans
from diffad.follow_up.visit import FollowUpVisit, read_visit
from diffad.io.nifti import stem


def find_noise(
    options: FollowUpOptions, visits: tuple[FollowUpVisit, FollowUpVisit], contrast: str
) -> tuple[RescanNoise | None, list[str]]:
    """Return what re-scanning does, none if nobody knows, and what should be known of that.

    Args:
        options: The visits, and how they are compared.
        visits: Both visits; re-scans are those of the first.
        contrast: Contrast of the scans.

    Raises:
        ValueError: If a re-scan cannot be looked at.
        OSError: If a re-scan cannot be written.
    """
    if not options.rescan:
        noise = _read_shipped(options, visits[0], contrast)
        return noise, _list_doubts(visits) if noise else []
    noise = _measure_noise(options, visits[0])
    if noise is None:
        sentence = "the re-scans of the first visit have no finding in common, so their noise is unknown"
        return None, [sentence]
    return noise, _list_few(noise)


def _read_shipped(options: FollowUpOptions, first: FollowUpVisit, contrast: str) -> RescanNoise | None:
    """Return the figures of a shipped model; none where detections are matched in another way than theirs."""
    if options.tolerance_mm != TOLERANCE:
        return None
    return RescanNoise.load_shipped(strip_request(first.info["request"]), contrast)


def _list_doubts(visits: tuple[FollowUpVisit, FollowUpVisit]) -> list[str]:
    """Say so where figures of scans that the model knows are held against others."""
    domains = [visit.info.get("domain") or {} for visit in visits]
    if all(domain.get("status") != "outside" for domain in domains):
        return []
    return [
        "what re-scanning gives was measured on scans that the model knows, so that it may be more here; "
        "--rescan 3 measures it on the first visit"
    ]


def _list_few(noise: RescanNoise) -> list[str]:
    """Say so where limits are those of few findings, as a change is above such a limit by chance."""
    count = min(size_bin.pairs for size_bin in noise.bins)
    if count >= LEAST_PAIRS and (noise.lone_limit is None or noise.lone_count >= LEAST_PAIRS):
        return []
    return [
        f"what re-scanning gives rests on {count} findings in both of two scans and {noise.lone_count} in "
        "one only: a change beyond it may be noise all the same"
    ]


def _measure_noise(options: FollowUpOptions, first: FollowUpVisit) -> RescanNoise | None:
    text = json.dumps([first.info["request"], options.tolerance_mm], sort_keys=True)
    folder = options.out / "rescans" / hashlib.sha256(text.encode()).hexdigest()[:8]
    paths = write_rescans(first, folder, options.rescan, options.predict.seed + 1)
    changes: dict[str, Any] = {"mask": BRAIN_END, "overwrite": False}
    if options.prepare is not None:
        changes["prepare"] = replace(options.prepare, brain="given")
    predict_visits(options, paths, folder / "results", "re-scan", **changes)
    rescans = [read_visit(path, folder / "results", stem(path)) for path in paths]
    findings = pair_findings([first, *rescans], options.predict.seed, options.tolerance_mm)
    words = f"{options.rescan} simulated re-scan{'s' * (options.rescan != 1)} of {first.path.name}"
    return RescanNoise.of(findings, words)
