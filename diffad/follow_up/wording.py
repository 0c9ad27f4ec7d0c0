"""What a comparison says of itself in words: facts, noise, and what was measured how."""

from __future__ import annotations

import math

from diffad.follow_up.changes import Change
from diffad.follow_up.comparison import Comparison
from diffad.follow_up.noise import NoiseBin, RescanNoise

EXPLANATION = (
    "Both visits were looked at by the same model with the same seed and settings, each in its own space, then "
    "brought to the space halfway between them, so that both are resampled once. Volumes are those of each "
    "visit's own space. A finding has grown or shrunk only if its volume changed by more than 95 % of re-scans of "
    "such findings do."
)
UNKNOWN = (
    "What re-scanning alone gives is not known for this model and these settings, so that no finding is called "
    "grown, shrunk or stable, and new or gone may be noise; --rescan 3 measures it on the first visit."
)


def list_facts(comparison: Comparison) -> list[tuple[str, str]]:
    """Return what is said first, as label and text."""
    first, second = comparison.visits
    alignment = comparison.alignment
    days = comparison.facts.get("days")
    headline = first.info.get("headline") or {}
    return [
        ("Result", comparison.headline),
        ("Visit 1", f"{first.path.name}: {_sum(comparison, 0)}"),
        ("Visit 2", f"{second.path.name}: {_sum(comparison, 1)}"),
        ("Interval", "unknown" if days is None else f"{days} days"),
        ("Model", str(headline.get("model", "unnamed"))),
        (
            "Registration",
            f"turned by {alignment.turn_degrees:.1f} degrees and moved by {alignment.shift_mm:.1f} mm; there and back "
            f"differ by {alignment.disagreement_mm:.2f} mm; Dice of the brains {alignment.dice:.3f}, correlation "
            f"{alignment.correlation:.3f}",
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
        return [UNKNOWN]
    return [f"Measured on {noise.source}:", *(_explain_bin(b) for b in noise.bins)]


def _explain_bin(known: NoiseBin) -> str:
    size = (
        f"from {known.low_ml:g} ml on"
        if math.isinf(known.high_ml)
        else f"{known.low_ml:g} to {known.high_ml:g} ml"
    )
    rest = "" if known.pairs >= 20 else f" (the largest of only {known.pairs})"
    return (
        f"{size}: the larger volume is up to {math.exp(known.log_limit):.2f} times the smaller one{rest}; "
        f"{known.lost} of {known.findings} findings were in one of two scans only ({known.lost_share:.0%})"
    )


def describe_certainty(change: Change) -> str:
    """Say in a few words whether re-scanning alone would give a change."""
    if change.beyond_noise is None:
        return "unknown"
    if change.status in ("new", "gone"):
        share = f"{change.noise_lost:.0%} of such come or go by re-scanning"
        return f"yes ({share})" if change.beyond_noise else f"no ({share})"
    limit = f"re-scanning gives up to +{change.noise_percent:.0f} %"
    return f"yes ({limit})" if change.beyond_noise else f"no ({limit})"
