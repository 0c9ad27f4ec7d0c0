"""What is said of a result before all else: model, what it knows, what was analysed, what to make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from torch import Tensor

from diffad.data.slices import NAMES, to_slices
from diffad.inference.domain import DomainCheck
from diffad.inference.flagged import FlaggedShare, format_share
from diffad.inference.scope import ModelScope
from diffad.inference.stack import Stack

VerdictKind = Literal["nothing", "detections", "unusual", "not credible", "poor scan"]
LEVEL = 0.05
"""Scan-level p-values above it are those of healthy scans."""
EXCESS = 1.5
"""Multiple of what is expected of healthy scans from which on more is said to be flagged than in these."""
LABELS = {
    "model": "Model",
    "scope": "It knows",
    "analysed": "Analysed",
    "outside": "Outside what it knows",
    "flagged": "Flagged",
    "verdict": "Result",
}
"""What is said, in order, and how each is introduced."""


@dataclass(frozen=True)
class Coverage:
    """How much of a scan was analysed.

    Args:
        slices: Slices that were looked at, along all planes.
        of_slices: Slices that show brain, along the same.
        planes: Which planes they are, in words; empty of whole volumes and images.
        brain_share: Share of the brain that was looked at, in [0, 1].
    """

    slices: int
    of_slices: int
    planes: str
    brain_share: float

    @classmethod
    def measure(
        cls, brain: Tensor, mask: Tensor, stacks: Sequence[Sequence[Stack]], axes: Sequence[str]
    ) -> Coverage:
        """Compare what was looked at with what there was.

        Args:
            brain: Brain masks, (B, 1, *S), bool.
            mask: What was looked at of them, alike.
            stacks: Slices of each item, along each axis.
            axes: The axes.
        """
        count = sum(len(stack.image) for cut in stacks for stack in cut)
        planes = [axis for axis in axes if axis in NAMES and brain.ndim == 5]
        total = sum(int(to_slices(b, a).flatten(1).any(1).sum()) for a in planes for b in brain)
        share = float(mask.bool().sum()) / max(1, int(brain.sum()))
        return cls(count, total or count, " and ".join(planes), share)

    def __str__(self) -> str:
        share = "all" if self.brain_share >= 1 else format_share(self.brain_share)
        if not self.planes:
            return (
                f"{share} of the brain" if self.slices == 1 else f"{self.slices} images, {share} of the brain"
            )
        return f"{self.slices} of {self.of_slices} {self.planes} slices, {share} of the brain"


def make_headline(
    scope: ModelScope,
    coverage: Coverage,
    domain: DomainCheck,
    share: FlaggedShare,
    comparison: Mapping[str, Any] | None,
    has_detections: bool,
    flags: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what is stored of a result under "headline", and the numbers behind it.

    Args:
        scope: What the model knows.
        coverage: What was analysed.
        domain: What of the scan lies outside.
        share: How much is flagged.
        comparison: The scan among whole healthy scans, see ``WholeScans.compare``; none where unknown.
        has_detections: Whether anything is above the threshold.
        flags: What makes the scan a poor one, in a word each.
    """
    kind, verdict = judge_result(share, comparison, has_detections, bool(domain.reasons), flags)
    texts = {
        "model": scope.name,
        "scope": str(scope),
        "analysed": str(coverage),
        "outside": _describe_outside(domain),
        "flagged": str(share),
        "verdict": verdict,
    }
    return {"headline": texts, "verdict": kind, "coverage": asdict(coverage), **share.to_info()}


def _describe_outside(domain: DomainCheck) -> str:
    if domain.reasons:  # a warning names more of them
        first, *others = domain.reasons
        count = f"; by {len(others)} more measure{'s' * (len(others) > 1)}, too" if others else ""
        return f"{first}{count}{'; ' + domain.cause if domain.cause else ''}"
    if domain.doubts:
        return "probably, as too much of the scan is flagged"
    return (
        "nothing" if domain.known else "unknown, as the model keeps no figures of the scans it was trained on"
    )


def judge_result(
    share: FlaggedShare,
    comparison: Mapping[str, Any] | None,
    has_detections: bool,
    is_outside: bool = False,
    flags: Sequence[str] = (),
) -> tuple[VerdictKind, str]:
    """Say what a result amounts to, and in which words.

    A scan whose p-value is above 5 % shows nothing that healthy scans do not, whatever its detections; where
    there is no p-value, one that has no more flagged than healthy scans have. Far more in one piece is not
    held against healthy scans, as it may be a large lesion.

    Args:
        share: How much is flagged.
        comparison: The scan among whole healthy scans; none where unknown.
        has_detections: Whether anything is above the threshold.
        is_outside: Whether the scan is outside what the model knows.
        flags: What makes the scan a poor one, in a word each; it is not judged then.
    """
    if flags:
        rest = "; what is detected may be its artefacts" if has_detections else ""
        return "poor scan", f"not judged, as the scan is poor: {', '.join(flags)}{rest}"
    if not share.is_credible:
        text = "far more is flagged than lesions could explain, all over the brain"
        return "not credible", f"not credible: {text}; the scan is not one the model knows"
    if share.is_lump and has_detections:
        text = "far more is flagged than in healthy scans, in one piece: a large lesion is possible, look"
        outside = "; or it is so as the scan is outside what the model knows" if is_outside else ""
        return "detections", f"{text}{outside}; no person has judged it"
    nothing = "nothing above what healthy scans show"
    if comparison is None:
        if has_detections and not share.is_usual:
            return "detections", f"detections{_describe_excess(share)}; no person has judged them"
        return "nothing", nothing if share.usual_share is not None else "nothing above the threshold"
    p_value, floor = float(comparison["p_value"]), float(comparison["floor"])
    p_text = f"p of the whole scan = {p_value:.2g}"
    if p_value > max(LEVEL, floor):
        rest = "; its detections are such as healthy scans have, too" if has_detections else ""
        return "nothing", f"{nothing} ({p_text}){rest}"
    if has_detections:
        return (
            "detections",
            f"detections, in a scan unlike healthy ones ({p_text}); no person has judged them",
        )
    return "unusual", f"no detection, but the scan as a whole is unlike healthy ones ({p_text})"


def _describe_excess(share: FlaggedShare) -> str:
    if share.usual_share is None:
        return ""
    amount = (
        "more is flagged than" if share.share > EXCESS * share.usual_share else "about as much is flagged as"
    )
    return f", and {amount} in healthy scans"


def list_headlines(info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is said first of a result, as label and text; nothing of results from before it was stored.

    Args:
        info: What is stored of the result.
    """
    texts = info.get("headline")
    if not isinstance(texts, Mapping):
        return []
    return [(label, str(texts[key])) for key, label in LABELS.items() if key in texts]
