"""Any score, with the scan as the same way rebuilds it in the place of the scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from diffad.protocols import AnomalyScore, ScoreRun
from diffad.registry import SCORES
from diffad.schedule import Schedule
from diffad.score.base import begin_run
from diffad.types import Reconstruction, StepRecord


@dataclass(frozen=True)
class RebuiltRun:
    """The run of a score that compares with the scan as it is rebuilt unchanged.

    Args:
        inner: Run of the score.
    """

    inner: ScoreRun

    @property
    def children(self) -> Mapping[str, ScoreRun]:
        """The run."""
        return {"inner": self.inner}

    def record(self, step: StepRecord) -> None:
        """Let the score take in the move."""
        self.inner.record(step)

    def map(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S)."""
        return self.inner.map(_choose_scan(x, restoration), restoration, mask)


@SCORES.register("rebuilt")
class Rebuilt:
    r"""Any score of the scan as the sampler rebuilds it without an edit, and of the twin.

    .. math:: a(r, \hat x) \text{ for } a(x, \hat x)

    In coded spaces r is the decoded code of the scan, so that what a codec loses counts as no anomaly. Where
    a sampler has no such reconstruction, the scan itself is compared.

    Args:
        score: The score a, a mapping of its ``name`` and options; the absolute residual when absent.

    Raises:
        ValueError: If the score has no name.

    Reference:
        MAD-AD: Masked Diffusion for Unsupervised Brain Anomaly Detection (Beizaee et al., IPMI 2025).
    """

    def __init__(self, score: Mapping[str, Any] | AnomalyScore | None = None) -> None:
        self.score, self._part = score, SCORES.ready({"name": "l1"} if score is None else score)

    @property
    def children(self) -> Mapping[str, AnomalyScore]:
        """The score."""
        return {"score": self._part}

    def begin(self, x: Tensor, schedule: Schedule) -> RebuiltRun:
        """Begin a run of the score on ``x`` (B, C, *S) in [-1, 1]."""
        return RebuiltRun(begin_run(self._part, x, schedule))

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S)."""
        answer: Tensor = self._part(_choose_scan(x, restoration), restoration, mask)
        return answer


def _choose_scan(x: Tensor, restoration: Reconstruction) -> Tensor:
    return x if restoration.reference is None else restoration.reference.to(x.dtype)
