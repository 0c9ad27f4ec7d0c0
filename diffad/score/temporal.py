"""Temporal mean of maps: what a sampler suspects at one level after the other, in one map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from diffad.data.space import to_public
from diffad.protocols import AnomalyScore
from diffad.registry import SCORES
from diffad.schedule import Schedule
from diffad.score.base import average_inside, begin_run, pair_images
from diffad.types import Reconstruction, StepRecord, widest_float

MEANS = ("harmonic", "geometric", "arithmetic")


@SCORES.register("temporal")
class Temporal:
    r"""Aggregates over levels the maps that a sampler left in its records.

    .. math:: a = \min \Big( K \big/ \sum_t m_t^{-1}, \; a_{\max} \Big)

    In the harmonic and the geometric mean, one level that finds exactly nothing vetoes all others. Where no
    record carries a map, as those of sampler "chain", each estimate is compared with the scan by ``score``,
    in the whole image.

    Args:
        mean: "harmonic", "geometric" or "arithmetic".
        levels: Levels :math:`t` that count; all if absent.
        score: Distance of scan and estimate where records carry no map, as a mapping of its ``name`` and
            options; the absolute residual when absent.
        top: Largest value :math:`a_{\max}` of the map; none leaves it as it is.
        against: What estimates are compared with, the "scan" or the "state" that they were made from.

    Raises:
        ValueError: If a word is unknown, there is no level, the score has no name or top is not positive.

    Reference:
        Diffusion Models with Implicit Guidance for Medical Anomaly Detection (THOR, Bercea et al., 2024).
    """

    def __init__(
        self,
        mean: str = "harmonic",
        levels: Sequence[int] | None = None,
        score: Mapping[str, Any] | AnomalyScore | None = None,
        top: float | None = 0.999,
        against: str = "scan",
    ) -> None:
        if against not in ("scan", "state"):
            raise ValueError(f"against must be scan or state, got {against!r}")
        if mean not in MEANS:
            raise ValueError(f"mean must be one of {MEANS}, got {mean!r}")
        if levels is not None and not levels:
            raise ValueError("expected at least one level, got none")
        if top is not None and not top > 0:
            raise ValueError(f"expected a positive top, got {top}")
        self.mean, self.levels, self.score, self.top, self.against = mean, levels, score, top, against
        self.distance: AnomalyScore = SCORES.ready({"name": "l1"} if score is None else score)

    @property
    def children(self) -> Mapping[str, AnomalyScore]:
        """The score of estimates."""
        return {"score": self.distance}

    def begin(self, x: Tensor, schedule: Schedule | None = None) -> TemporalRun:
        """Begin a run on ``x`` (B, C, *S) in [-1, 1]; the ``schedule`` is for the score of estimates."""
        distance = self.distance if schedule is None else begin_run(self.distance, x, schedule).map
        return TemporalRun(self, x, distance)

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Refuse to score without the records of a sampler, which ``begin`` takes in.

        Raises:
            ValueError: Always.
        """
        return self.begin(2 * x - 1).map(x, restoration, mask)


class RunningMean:
    """The sum over maps that a mean needs, in double precision; no map is kept.

    Args:
        mean: "harmonic", "geometric" or "arithmetic".
    """

    def __init__(self, mean: str) -> None:
        self.mean, self.count = mean, 0
        self._sum: Tensor | float = 0.0

    def add(self, score_map: Tensor) -> None:
        """Take in a map; 0 is worth infinity, or minus infinity, to the sum, which nothing undoes."""
        score_map = score_map.to(widest_float(score_map.device))
        if self.mean == "harmonic":
            score_map = 1 / score_map
        elif self.mean == "geometric":
            score_map = score_map.log()
        self._sum, self.count = self._sum + score_map, self.count + 1

    def compute(self) -> Tensor:
        """Return the mean of the maps so far; there must be at least one."""
        mean = torch.as_tensor(self._sum) / self.count
        if self.mean == "harmonic":
            return 1 / mean
        return mean.exp() if self.mean == "geometric" else mean


class TemporalRun:
    """The sums of one run: over maps in records, and over maps of estimates until a record has one.

    Args:
        score: The options.
        x: Scan in [-1, 1], (B, C, *S).
        distance: Score of an estimate.
    """

    def __init__(self, score: Temporal, x: Tensor, distance: AnomalyScore) -> None:
        self.score, self.distance = score, distance
        self._x = x.detach().to(torch.promote_types(x.dtype, torch.float32))
        self._record_mean, self._estimate_mean = RunningMean(score.mean), RunningMean(score.mean)
        self._count = 0

    @torch.no_grad()
    def record(self, step: StepRecord) -> None:
        """Take in the map or the estimate of one level.

        Raises:
            ValueError: If its shape is not that of the scan.
        """
        self._count += 1
        if step.x_hat.shape != self._x.shape:
            shapes = tuple(self._x.shape), tuple(step.x_hat.shape)
            raise ValueError(f"expected records of shape {shapes[0]} like x, got {shapes[1]}")
        if self.score.levels is not None and step.t not in self.score.levels:
            return
        if step.map is not None:
            self._record_mean.add(step.map)
        elif not self._record_mean.count:
            estimate = Reconstruction(to_public(step.x_hat.to(self._x.dtype)), nfe=1)
            base = self._x if self.score.against == "scan" else step.x_t.to(self._x.dtype)
            self._estimate_mean.add(self.distance(to_public(base), estimate))

    def map(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the shapes do not fit, or there were no records at the levels.
        """
        scan, _ = pair_images(x, restoration)
        sums = self._record_mean if self._record_mean.count else self._estimate_mean
        if not sums.count:
            raise ValueError(self._describe_lack())
        top = math.inf if self.score.top is None else self.score.top
        return average_inside(sums.compute().clamp(max=top).to(scan.dtype), mask)

    def _describe_lack(self) -> str:
        if self._count:
            levels = tuple(self.score.levels or ())
            return f"expected records at levels {levels} for score 'temporal', got {self._count} at others"
        return (
            "expected records of a sampler for score 'temporal', got none: let the sampler report to "
            "begin(...).record, as the pipeline does; those of 'harmonised' carry maps"
        )
