"""Temporal harmonisation: on the way back, what looks healthy is taken from the scan again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from diffad.capabilities import begin_run
from diffad.data.space import to_public
from diffad.protocols import AnomalyScore, Denoiser, NoiseGenerator
from diffad.registry import SAMPLERS, SCORES
from diffad.samplers.base import as_level, check_call, level_option, levels_down
from diffad.samplers.blend import RULES, Blend, mix
from diffad.samplers.chain import build_step
from diffad.samplers.morphology import close, dilate, width_option
from diffad.step import DDIM, DDPM, Cold, EulerFlow
from diffad.types import Generators, Reconstruction, StepRecord

NORMS = ("max", "none")
RENOISES = ("fixed", "fresh")
SCORE: dict[str, Any] = {"name": "product", "scores": [{"name": "l1"}, {"name": "ssim", "window": 11}]}


@SAMPLERS.register("harmonised")
class Harmonised:
    r"""Comes back from noise and, at a few levels, replaces what looks healthy by the scan.

    .. math::
        m_t = \frac{d(x, \hat x_t)}{\max d(x, \hat x_t) + 10^{-8}}, \quad
        M_t = \frac{\mathrm{dilate}(\mathrm{close}(m_t)) + m_t}{2}, \quad
        x_s = \sqrt{\bar\alpha_s} \, (M_t \hat x_t + (1 - M_t) x) + \sqrt{1 - \bar\alpha_s} \, z

    The last move, to level 0, gives the estimate itself. Moves that a map was made for carry :math:`m_t`
    in their records, which score "temporal" makes one map of. With fewer ``steps`` than levels, the levels
    named in ``harmonise`` and ``watch`` are replaced by the nearest that are visited, the higher of two;
    those that fall together count once, and no blend is made at the last move. Restricted to a
    region, the reconstruction is the scan outside of it.

    Args:
        level: Level of the jump into noise, in 1..T. Index 350 of published code is level 351.
        steps: Moves on the way back, evenly spaced; one per level when absent.
        step: "ddpm" or "ddim".
        eta: Share of fresh noise of a "ddim" step, in [0, 1].
        variance: "fixed_small" or "fixed_large", of a "ddpm" step.
        harmonise: Levels at which scan and estimate are blended.
        watch: Further levels at which a map is made: a list, a distance of levels counted from the top, to
            which the last estimate is added, or none.
        score: Distance :math:`d` of scan and estimate, as a mapping of its ``name`` and options; absolute
            residual times structural dissimilarity when absent.
        normalise: "max", by item, or "none"; the weight is at most 1 either way.
        width: Odd width of the window of closing and dilation, in voxels.
        renoise: "fixed", the noise of the jump once more at every blend, or "fresh" noise.
        rule: "next" noises the blend to the level that the move goes to; "same" to the one it came from,
            one too noisy, as published.

    Raises:
        TypeError: If a number is no integer.
        ValueError: If an option is out of range or belongs to the other step, or a level is above ``level``.

    Reference:
        Diffusion Models with Implicit Guidance for Medical Anomaly Detection (THOR, Bercea et al., 2024).
    """

    def __init__(
        self,
        level: int = 350,
        steps: int | None = None,
        step: str = "ddpm",
        eta: float = 0.0,
        variance: str = "fixed_small",
        harmonise: Sequence[int] = (300, 150, 50),
        watch: int | Sequence[int] | None = 50,
        score: Mapping[str, Any] | AnomalyScore | None = None,
        normalise: str = "max",
        width: int = 13,
        renoise: str = "fixed",
        rule: str = "next",
    ) -> None:
        self.level = level_option("level", level)
        self.steps = None if steps is None else level_option("steps", steps)
        self.step, self.eta, self.variance = step, eta, variance
        self.harmonise, self.watch = harmonise, watch
        self.score, self.width = score, width_option(width)
        self.normalise = _check_choice("normalise", normalise, NORMS)
        self.renoise, self.rule = (
            _check_choice("renoise", renoise, RENOISES),
            _check_choice("rule", rule, RULES),
        )
        self._move = build_step(step, eta, variance)
        self._score: AnomalyScore = SCORES.ready(SCORE if score is None else score)
        self._region: Tensor | None = None
        self._levels = levels_down(self.level, self.steps)
        self._blends, self._maps = self._place_levels()

    @property
    def children(self) -> Mapping[str, AnomalyScore]:
        """The score of estimates."""
        return {"score": self._score}

    def restricted_to(self, region: Tensor) -> Harmonised:
        """Return the same sampler that changes only what is in ``region``, (B, 1, *S) in [0, 1]."""
        sampler = copy.copy(self)
        sampler._region = region
        return sampler

    @torch.no_grad()
    def __call__(
        self,
        x: Tensor,
        denoiser: Denoiser,
        noise: NoiseGenerator,
        *,
        generator: Generators,
        mask: Tensor | None = None,
        on_step: Callable[[StepRecord], None] | None = None,
    ) -> Reconstruction:
        """Restore ``x`` (B, C, *S) in [-1, 1]; maps are made inside ``mask`` (B, 1, *S) alone."""
        check_call(x, denoiser, self.level, generator)
        self._check_region(x)
        map_levels = self._blends if on_step is None else self._blends | self._maps
        compare = begin_run(self._score, x, denoiser.schedule).map
        first_noise = noise(x, as_level(self.level, x), generator=generator)
        x_t = denoiser.schedule.add_noise(x, first_noise, self.level)
        for t, s in pairwise(self._levels):
            x_hat = denoiser(x_t, as_level(t, x))
            anomaly_map = self._make_map(x, x_hat, mask, compare) if t in map_levels else None
            move: DDIM | DDPM | EulerFlow | Cold | Blend = self._move
            if anomaly_map is not None and t in self._blends:
                move = self._make_blend(x, anomaly_map, first_noise)
            z = noise(x, as_level(t, x), generator=generator) if move.draws(s) else torch.zeros_like(x)
            x_s = move(x_t, x_hat, t, s, denoiser.schedule, z)
            if on_step is not None:
                on_step(StepRecord(t, s, x_t, x_hat, x_s, anomaly_map))
            x_t = x_s
        image = x_t if self._region is None else mix(x, x_t, self._region)
        return Reconstruction(image, nfe=len(self._levels) - 1)

    def _make_map(self, x: Tensor, x_hat: Tensor, mask: Tensor | None, compare: AnomalyScore) -> Tensor:
        """Find m_t (B, 1, *S), by item."""
        anomaly_map = compare(to_public(x), Reconstruction(to_public(x_hat), nfe=1), mask)
        anomaly_map = anomaly_map if self._region is None else anomaly_map * self._region
        if self.normalise == "none":
            return anomaly_map
        return anomaly_map / (anomaly_map.amax(tuple(range(1, anomaly_map.ndim)), keepdim=True) + 1e-8)

    def _make_blend(self, x: Tensor, anomaly_map: Tensor, first_noise: Tensor) -> Blend:
        """Make the step whose weight M_t is the map and what it grows to."""
        weight = ((dilate(close(anomaly_map, self.width), self.width) + anomaly_map) / 2).clamp(0, 1)
        weight = weight if self._region is None else weight * self._region
        return Blend(x, weight, first_noise if self.renoise == "fixed" else None, self.rule)

    def _place_levels(self) -> tuple[frozenset[int], frozenset[int]]:
        """Find the visited levels of blends and of further maps."""
        levels = self._levels[:-1]
        harmonise = _check_levels(self.level, "harmonisation levels", self.harmonise)
        if harmonise and len(levels) < 2:
            raise ValueError("expected steps of at least 2 to harmonise between two of them, got 1")
        if isinstance(self.watch, int):
            stride = level_option("watch", self.watch)
            watch = [*range(self.level, 0, -stride), 1]
        else:
            watch = _check_levels(self.level, "watched levels", self.watch or ())
        return _snap_levels(harmonise, levels[:-1]), _snap_levels(watch, levels)

    def _check_region(self, x: Tensor) -> None:
        shape = (x.shape[0], 1, *x.shape[2:])
        if self._region is not None and tuple(self._region.shape) != shape:
            raise ValueError(f"expected region of shape {shape}, got {tuple(self._region.shape)}")


def _snap_levels(levels: Iterable[int], path: Sequence[int]) -> frozenset[int]:
    return frozenset(min(path, key=lambda v: (abs(v - t), -v)) for t in levels)


def _check_levels(highest: int, name: str, levels: object) -> list[int]:
    if isinstance(levels, str) or not isinstance(levels, Sequence):
        raise TypeError(f"expected {name} as a sequence of integers, got {levels!r}")
    checked_levels = [level_option(name, t) for t in levels]
    if any(t > highest for t in checked_levels):
        raise ValueError(f"expected {name} at or below level {highest}, got {checked_levels}")
    return checked_levels


def _check_choice(name: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}, got {value!r}")
    return value
