"""Whether a scan is one of those a model knows, before and after it was looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from diffad.data.hounsfield import guess_units
from diffad.data.intensity import IntensityWindow
from diffad.data.volume import Volume
from diffad.inference.features import ScanFeatures
from diffad.inference.flagged import FlaggedShare
from diffad.inference.known import SHARE, KnownScans
from diffad.inference.scan import ScanSource
from diffad.inference.sequence_names import compare_sequence_names

DARK_END = 0.6
"""Share of the bright end of a brain that its dark end hardly exceeds, as there is fluid in it."""
BRIGHTNESS = (SHARE, "correlation of its contrast", "order of its tissues")
"""What reasons about brightness have in common."""
MOST_REASONS = 3
"""Reasons that a warning names."""


class DomainError(ValueError):
    """A scan that a model does not know, where only known ones are to be looked at."""


@dataclass(frozen=True)
class DomainCheck:
    """Whether a scan is one of those a model knows.

    Args:
        known: Whether the model says which scans it knows, and the scan could be compared.
        fpr: False-positive rate at which it detects.
        reasons: What of the scan lies outside; the most telling first.
        doubts: What of its result is not credible, in sentences.
        cause: What may be behind the reasons, in a sentence; empty where nobody knows.
    """

    known: bool
    fpr: float
    reasons: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    cause: str = ""

    @property
    def status(self) -> str:
        """``outside``, ``inside``, or ``unknown`` where the model does not say what it knows."""
        is_outside = self.reasons or self.doubts
        return "outside" if is_outside else "inside" if self.known else "unknown"

    def list_warnings(self) -> list[str]:
        """Say what of the scan lies outside, in a sentence; nothing for a scan that is inside."""
        if not self.reasons:
            return []
        more = len(self.reasons) - MOST_REASONS
        text = "; ".join(self.reasons[:MOST_REASONS]) + (f"; and {more} more" if more > 0 else "")
        cause = f"; {self.cause}" if self.cause else ""
        return [f"outside what the model knows: {text}{cause}"]

    def require(self, name: str, strict: bool = True) -> DomainCheck:
        """Refuse a scan that is outside, if that is asked for; return the check of any other.

        Raises:
            DomainError: Naming the scan and the reasons.
        """
        if strict and (warnings := [*self.list_warnings(), *self.doubts]):
            raise DomainError(f"{name}: {warnings[0]}")
        return self

    def add_reasons(self, reasons: Sequence[str]) -> DomainCheck:
        """Add what else of the scan lies outside what the model knows."""
        return replace(self, reasons=(*self.reasons, *reasons))

    def explain(self, cause: str) -> DomainCheck:
        """Add what may be behind the reasons, where one of them is about brightness."""
        has_brightness = any(word in reason for reason in self.reasons for word in BRIGHTNESS)
        return replace(self, cause=cause) if has_brightness else self

    def judge(self, share: FlaggedShare) -> DomainCheck:
        """Add what is not credible of a result."""
        return replace(self, doubts=() if share.is_credible else tuple(share.list_warnings()))

    def to_info(self) -> dict[str, Any]:
        """Return what is stored with the result."""
        return {"domain": {"status": self.status, "reasons": [*self.reasons, *self.doubts]}}


def check_domain(source: ScanSource, config: Mapping[str, Any]) -> DomainCheck:
    """Compare a scan with those that a model knows.

    Args:
        source: The scan.
        config: Settings of the model, with its space and, where known, its sequences and its domain.
    """
    if source.volume is None:
        return DomainCheck(False, config["postprocess"]["fpr"])
    reasons = [_compare_modality(source.volume, config["space"]["intensity"])]
    reasons += [compare_sequence_names(source.volume.path, config.get("sequences"))]
    domain = config.get("domain")
    if domain is not None:
        reasons += _compare_features(source, [KnownScans.from_dict(values) for values in domain])
    fpr = config["postprocess"]["fpr"]
    return DomainCheck(domain is not None, fpr, tuple(reason for reason in reasons if reason))


def _compare_features(source: ScanSource, domain: Sequence[KnownScans]) -> list[str]:
    assert source.volume is not None
    if len(source.volume.data) != len(domain):
        return []  # said where channels are counted
    reasons = [known.list_reasons(scan) for known, scan in zip(domain, source.features, strict=True)]
    if len(domain) == 1:
        return reasons[0]
    return [f"of sequence {i}: {reason}" for i, own in enumerate(reasons, 1) for reason in own]


def summarise_domain(scans: Sequence[Sequence[ScanFeatures]]) -> list[dict[str, Any]]:
    """Return what a model stores of healthy scans it knows, one mapping for each sequence.

    Args:
        scans: What was measured of every sequence of each scan.

    Raises:
        ValueError: If there is no scan, or they differ in their number of sequences.
    """
    return [KnownScans.of(channel).to_dict() for channel in zip(*scans, strict=True)]


def list_window_warnings(windows: Sequence[IntensityWindow], space: Mapping[str, Any]) -> list[str]:
    """Say so if the zero of a scan is not 0, but its constant background."""
    if not _keeps_zero(space):
        return []
    zeros = sorted({lower for window in windows for lower in window.lower if lower})
    values = ", ".join(f"{zero:.4g}" for zero in zeros)
    text = f"its background is {values}, not 0, and taken for the zero of its intensities"
    return [text] if zeros else []


def _compare_modality(volume: Volume, intensity: str) -> str | None:
    if intensity == "ct" or volume.data.min() > -900 or guess_units(volume.data[0]) != "hu":
        return None
    return "the model was trained on MRI, and this scan looks like a CT: it has air near -1000"


def list_offset_warnings(source: ScanSource, window: IntensityWindow, space: Mapping[str, Any]) -> list[str]:
    """Say so if even the darkest of a brain is bright, as after adding a constant to z-scores.

    Args:
        source: The scan.
        window: Its intensity window.
        space: Settings of the model's space.
    """
    if source.volume is None or not _keeps_zero(space):
        return []
    brain = source.brain[0, 0]
    for channel, zero in zip(source.image[0], window.lower, strict=True):
        low, high = (float(p) - zero for p in np.percentile(channel[brain].numpy(), (1, 99)))
        if low > DARK_END * high:
            return [
                f"the darkest of its brain is {low / high:.0%} as bright as the brightest, as after adding a "
                "constant; this model needs the zero of the scan, so give the scan as it was before"
            ]
    return []


def _keeps_zero(space: Mapping[str, Any]) -> bool:
    return space["intensity"] != "ct" and space["low"] is None
