"""Aggregated normative transitions: how wrong the network is about one step, over many levels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffad.registry import SCORES
from diffad.schedule import Schedule
from diffad.score.base import average_inside, pair_images
from diffad.score.transition import WEIGHTS, image_weight
from diffad.types import Reconstruction, StepRecord, widest_float

MEANS = ("geometric", "arithmetic")
CHANNELS = ("max", "mean")


@SCORES.register("normative")
class Normative:
    r"""Aggregates over levels the squared distance of the true and the predicted mean of one step.

    .. math:: d_t = v_t (\hat x_t - x)^2 = w_t (z - \hat\epsilon)^2, \quad
              v_t = w_t \frac{\bar\alpha_t}{1 - \bar\alpha_t}, \quad
              a = \max_c \exp \Big( \tfrac{1}{K} \sum_t \ln d_t \Big)

    It takes in the records of a sampler one by one and keeps a sum. The weights only scale the geometric
    mean; in the arithmetic mean they divide it among the levels. The algebra is exact where a state is the
    noised image and its estimate is not clamped, as sampler "levels" gives them; on the way of another
    sampler the same distance is between its estimates and the scan.

    Args:
        mean: "geometric", where one good estimate among many counts, or "arithmetic".
        weight: "transition" (:math:`v_t`), "noise" (:math:`\bar\alpha_t / (1 - \bar\alpha_t)`, the error of
            the noise) or "none" (1).
        channels: "max" or "mean".
        floor: Smallest squared error in the geometric mean; what is never above it scores 0.

    Raises:
        ValueError: If an option is unknown, or the floor is outside [1e-30, 1].

    Reference:
        ANDi: Unsupervised Anomaly Detection using Aggregated Normative Diffusion (Frotscher et al., 2023).
    """

    def __init__(
        self,
        mean: str = "geometric",
        weight: str = "transition",
        channels: str = "max",
        floor: float = 1e-12,
    ) -> None:
        for name, value, choices in (
            ("mean", mean, MEANS),
            ("weight", weight, WEIGHTS),
            ("channels", channels, CHANNELS),
        ):
            if value not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {value!r}")
        if not 1e-30 <= floor <= 1:
            raise ValueError(f"expected floor in [1e-30, 1], got {floor}")
        self.mean, self.weight, self.channels, self.floor = mean, weight, channels, floor

    def begin(self, x: Tensor, schedule: Schedule) -> NormativeRun:
        """Begin a run on ``x`` (B, C, *S) in [-1, 1]."""
        return NormativeRun(self, x, schedule)

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Refuse to score without the records of a sampler, which ``begin`` takes in.

        Raises:
            ValueError: Always.
        """
        return self.begin(2 * x - 1, Schedule.linear()).map(x, restoration, mask)


class NormativeRun:
    """The sum over the levels of one run, in double precision; no level is kept.

    Args:
        score: The options.
        x: Scan in [-1, 1], (B, C, *S).
        schedule: Amplitudes by level.
    """

    def __init__(self, score: Normative, x: Tensor, schedule: Schedule) -> None:
        self.score, self.schedule = score, schedule
        self._x = x.detach().to(torch.promote_types(x.dtype, torch.float32))
        self._sum = torch.zeros_like(self._x, dtype=widest_float(x.device))
        self._log_weights, self._count = 0.0, 0

    @torch.no_grad()
    def record(self, step: StepRecord) -> None:
        """Take in the estimate of one level.

        Raises:
            ValueError: If its shape is not that of the scan, or its level is below 1.
        """
        if step.x_hat.shape != self._x.shape:
            shapes = tuple(self._x.shape), tuple(step.x_hat.shape)
            raise ValueError(f"expected records of shape {shapes[0]} like x, got {shapes[1]}")
        error = (step.x_hat.to(self._x.dtype) - self._x).square()
        weight = image_weight(step.t, self.schedule, self.score.weight)
        if self.score.mean == "arithmetic":
            self._sum.add_(error, alpha=weight)
        else:
            # relative to the floor, so that the sum is exactly 0 where no error is above it
            self._sum.add_((error / self.score.floor).clamp(min=1).log())
        self._log_weights += math.log(weight)
        self._count += 1

    def map(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the shapes do not fit, or there were no records.
        """
        scan, _ = pair_images(x, restoration)
        if not self._count:
            raise ValueError(
                "expected records of a sampler for score 'normative', got none: let the sampler report to "
                "begin(...).record, as the pipeline does; 'levels', 'oneshot', 'chain' and 'dpm_solver' "
                "make records"
            )
        maps = self._aggregate()
        maps = maps.amax(1, keepdim=True) if self.score.channels == "max" else maps.mean(1, keepdim=True)
        return average_inside(maps.to(scan.dtype), mask)

    def _aggregate(self) -> Tensor:
        mean = self._sum / self._count
        if self.score.mean == "arithmetic":
            return mean
        scale = self.score.floor * math.exp(self._log_weights / self._count)
        return torch.where(self._sum > 0, scale * mean.exp(), 0.0)
