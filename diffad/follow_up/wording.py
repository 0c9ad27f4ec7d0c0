"""What a comparison says of itself in words: facts, noise, and what was measured how."""

from __future__ import annotations

import math

from diffad.follow_up.changes import FindingChange
from diffad.follow_up.comparison import Comparison
from diffad.follow_up.noise import RescanNoise
from diffad.follow_up.noise_bins import NoiseBin

EXPLANATION = (
    "Both visits were looked at by the same model with the same seed and settings, each in its own space, "
    "then brought to the space halfway between them, so that both are resampled once. Volumes are those of "
    "each visit's own space. A finding has grown or shrunk only if its volume changed by more than 95 % of "
    "re-scans of such findings do; what is new or gone is beyond noise only if the map changed in it by "
    "more than in 95 % of the findings that come or go by re-scanning. Re-scans are simulated: another day, "
    "scanner or posture adds to them."
)
UNKNOWN_NOISE = (
    "What re-scanning alone gives is not known for this model and these settings, so that no finding is "
    "called grown, shrunk or stable, and new or gone may be noise; --rescan 3 measures it on the first visit."
)
LEGEND = (
    "Outlines are thick where a change is beyond what re-scanning gives, thin elsewhere. Differences "
    "are orange where visit 2 is higher and blue where it is lower."
)
"""What the colours of the differences mean."""


def list_comparison_facts(comparison: Comparison) -> list[tuple[str, str]]:
    """Return what is said first, as label and text."""
    first, second = comparison.visits
    alignment = comparison.alignment
    days = comparison.facts.get("days")
    headline = first.info.get("headline") or {}
    return [
        ("Result", comparison.headline),
        ("Visit 1", f"{first.path.name}: {_sum(comparison, 0)}"),
        ("Visit 2", f"{second.path.name}: {_sum(comparison, 1)}"),
        ("Interval", "unknown" if days is None else f"{days} day{'s' * (abs(days) != 1)}"),
        ("Model", str(headline.get("model", "unnamed"))),
        (
            "Registration",
            f"turned by {alignment.turn_degrees:.1f} degrees and moved by {alignment.shift_mm:.1f} mm; there "
            f"and back differ by {alignment.disagreement_mm:.2f} mm; Dice of the brains "
            f"{alignment.dice:.3f}, agreement of the edges {alignment.agreement:.3f}",
        ),
        ("Re-scan noise", comparison.noise.source if comparison.noise else "unknown"),
    ]


def _sum(comparison: Comparison, visit: int) -> str:
    lesions = comparison.visits[visit].lesions
    total = sum(lesion.volume_ml for lesion in lesions)
    return f"{len(lesions)} detection{'s' * (len(lesions) != 1)}, {total:.2f} ml"


def explain_noise(noise: RescanNoise | None) -> list[str]:
    """Say what re-scanning alone does, a sentence for each size."""
    if noise is None:
        return [UNKNOWN_NOISE]
    lone = (
        f"in findings of one of two scans only, the map changes by up to {noise.lone_limit:.1f} "
        f"({noise.lone_count} of them)"
    )
    lines = [f"Measured on {noise.source}; 95 % of the findings stay within these limits:"]
    return [*lines, *(_explain_bin(b) for b in noise.bins), *([] if noise.lone_limit is None else [lone])]


def _explain_bin(size_bin: NoiseBin) -> str:
    size = (
        f"from {size_bin.low_ml:g} ml on"
        if math.isinf(size_bin.high_ml)
        else f"{size_bin.low_ml:g} to {size_bin.high_ml:g} ml"
    )
    rest = "" if size_bin.pairs >= 20 else f" (the largest of only {size_bin.pairs})"
    return (
        f"{size}: the larger volume is up to {math.exp(size_bin.log_limit):.2f} times the smaller one{rest}; "
        f"{size_bin.lost_count} of {size_bin.findings} findings were in one of two scans only "
        f"({size_bin.loss_share:.0%})"
    )


def name_change(change: FindingChange) -> str:
    """Name a change by number and status, and say on which side of noise it is."""
    sides = {True: "beyond re-scan noise", False: "within re-scan noise", None: "re-scan noise unknown"}
    side = "" if change.status in ("stable", "not analysed") else f", {sides[change.beyond_noise]}"
    return f"change {change.number} ({change.status}{side})"


def describe_certainty(change: FindingChange) -> str:
    """Say in a few words whether re-scanning alone would give a change."""
    if change.beyond_noise is None:
        return "unknown"
    answer = "yes" if change.beyond_noise else "no"
    if change.noise_percent is None:
        return f"{answer} (no change)"
    if change.status in ("new", "gone"):
        change_text = f"map changed by {change.map_change:+.1f}"
        return f"{answer} ({change_text}, re-scanning gives up to {change.noise_map_change:.1f})"
    return f"{answer} (re-scanning gives up to +{change.noise_percent:.0f} %)"
