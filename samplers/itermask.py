"""Iterative masking: a hidden brain is uncovered wherever a network that cannot see it rebuilds it well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from diffad.protocols import AnomalyScore, Denoiser, NoiseGenerator, Sampler
from diffad.registry import SAMPLERS, SCORES
from diffad.samplers.base import level_option
from diffad.samplers.bend import find_bend
from diffad.samplers.hidden import draw_hidden
from diffad.samplers.hidden_once import HiddenOnce
from diffad.samplers.itermask_options import check_choices, check_numbers
from diffad.samplers.uncover import LEVEL, Passes, begin_passes, keep_largest, spread_items
from diffad.schedule import Schedule
from diffad.types import Example, Generators, Reconstruction, StepRecord, generators_for

OnStep = Callable[[StepRecord], None]


@SAMPLERS.register("itermask")
class IterMask:
    r"""Hides the brain in noise, and uncovers pass by pass what is rebuilt well; what stays is anomalous.

    .. math:: \tilde x = m \sigma z + (1 - m) x, \quad \hat x = f(\tilde x), \quad
              m' = m \, [a(x, \hat x) > \tau]

    First the whole brain is hidden. The network sees the rest of the image and what it is conditioned on,
    such as the fine detail of the model "detail"; it predicts the image and is asked at level 1 alone, also
    in training (``train.levels: [1, 1]``). An item stops once its mask shrinks by less than ``stop`` of it.
    The result is the last image rebuilt, and as its map the errors inside the last mask, which is the answer
    that needs no further threshold; the score "likelihood" takes it. Items without a brain stay as they are.

    Args:
        share: Share of the brain that stays hidden after the first pass, the worst rebuilt; none lets the
            threshold decide there, too.
        score: Error of image and rebuilt image, as a mapping of its ``name`` and options; "l2" if none.
        threshold: Error :math:`\tau` above which a voxel stays hidden. It belongs to a score and a network,
            so training measures it on healthy scans, where it is absent.
        fpr: Share of healthy hidden voxels that a measured threshold leaves hidden.
        rule: "healthy" for that threshold, or "curve" for one that each item finds for itself: its brain is
            uncovered in equal shares, and the threshold lies where errors begin to rise steeply.
        slope: Slope of that curve, in error per percent of the brain. The published .05 for squares of a
            range of 6 is .0014.
        looks: Equal shares of the brain; each but the last costs a pass.
        stop: Least share of its mask that an item must uncover in a pass to go on, in [0, 1).
        passes: Most passes after the first, and after those of the curve.
        regrow: Let voxels be hidden again, as published for volumes; else masks only shrink.
        sigma: Standard deviation of the noise that hides; the published 1 in a range of 6.
        whole: Chance in training that the whole brain is hidden, as it is at first in use.
        loss: Where the loss counts in training: in the whole "image", as published, or what is "hidden".

    Raises:
        TypeError: If a number of looks or passes is no integer.
        ValueError: If an option is out of range, or on call, if there is no threshold, a mask has another
            shape, or the network predicts something else than the image.

    Reference:
        IterMask2 (Liang et al., MICCAI 2024), with ``rule`` "curve" IterMask3D (Liang et al., 2025).
    """

    asked_level = LEVEL
    """The only level at which the network is asked, in training and in use."""

    def __init__(
        self,
        share: float | None = 0.6,
        score: Mapping[str, Any] | AnomalyScore | None = None,
        threshold: float | None = None,
        fpr: float = 0.2,
        rule: str = "healthy",
        slope: float = 0.0014,
        looks: int = 20,
        stop: float = 0.01,
        passes: int = 30,
        regrow: bool = False,
        sigma: float = 1 / 3,
        whole: float = 0.25,
        loss: str = "image",
    ) -> None:
        check_choices(rule, loss)
        check_numbers(share, threshold, fpr, slope, stop, sigma, whole)
        self.share, self.threshold, self.fpr = share, threshold, fpr
        self.score = {"name": "l2"} if score is None else score
        self.rule, self.slope, self.looks = rule, slope, level_option("looks", looks, 3)
        self.stop, self.passes, self.regrow = stop, level_option("passes", passes), regrow
        self.sigma, self.whole, self.loss = sigma, whole, loss
        self._score: AnomalyScore = SCORES.ready(self.score)

    @torch.no_grad()
    def __call__(
        self,
        x: Tensor,
        denoiser: Denoiser,
        noise: NoiseGenerator,
        *,
        generator: Generators,
        mask: Tensor | None = None,
        on_step: OnStep | None = None,
    ) -> Reconstruction:
        """Restore ``x`` (B, C, *S) in [-1, 1]; ``mask`` (B, 1, *S) is the brain, all of the image if none."""
        if not self.calibrated():
            raise ValueError(
                "itermask expected a threshold, which training measures on healthy scans, or rule 'curve', "
                "got neither"
            )
        cover = (self.sigma, self._score)
        passes = begin_passes(x, denoiser, noise, *cover, generator=generator, mask=mask, on_step=on_step)
        items = passes.brain.flatten(1).any(1).nonzero().flatten()
        hidden_mask = passes.brain.clone()
        if len(items):
            passes.look(hidden_mask, items)
            hidden_mask, thresholds = self._cut_first(passes, items)
            self._uncover(passes, hidden_mask, thresholds)
        return Reconstruction(passes.twin, nfe=passes.count, map=passes.error * hidden_mask)

    def _cut_first(self, passes: Passes, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return the masks after the first pass, (B, 1, *S), and the threshold of each item, (B,)."""
        first = passes.error.clone()
        if self.rule == "curve":
            thresholds = self._follow_curve(passes, items)
        else:
            assert self.threshold is not None  # as it is calibrated
            thresholds = first.new_full((len(first),), self.threshold)
        if self.share is None:
            return passes.brain & (first > spread_items(thresholds, first)), thresholds
        return keep_largest(first, passes.brain, self.share)[0], thresholds

    def _follow_curve(self, passes: Passes, items: Tensor) -> Tensor:
        """Uncover equal shares of the brain, and return the error of each item from which on it rises."""
        percents = 100 * torch.arange(1, self.looks, dtype=torch.float64) / self.looks
        curve = []
        for percent in percents.tolist():
            hidden_mask, least = keep_largest(passes.error, passes.brain, 1 - percent / 100)
            curve.append(least)
            passes.look(hidden_mask, items)
        values = torch.stack(curve, 1).cpu()
        bends = [values[i, find_bend(values[i], percents, self.slope)] for i in range(len(values))]
        return torch.stack(bends).to(passes.error)

    def _uncover(self, passes: Passes, hidden_mask: Tensor, thresholds: Tensor) -> None:
        """Uncover ``hidden_mask`` (B, 1, *S), in place, until no item goes on."""
        items = hidden_mask.flatten(1).any(1).nonzero().flatten()
        for _ in range(self.passes):
            if not len(items):
                return
            error, old = passes.look(hidden_mask, items), hidden_mask[items]
            eligible = passes.brain[items] if self.regrow else old
            new = eligible & (error > spread_items(thresholds[items], error))
            hidden_mask[items] = new
            before, after = (v.flatten(1).sum(1) for v in (old, new))
            goes_on = (after > 0) & (before - after >= self.stop * before)
            items = items[goes_on]

    def calibrated(self) -> bool:
        """Tell whether there is a threshold, or one must be measured on healthy scans."""
        return self.threshold is not None or self.rule == "curve"

    def calibrating(self) -> tuple[Sampler, AnomalyScore]:
        """Return the sampler and the score whose maps are errors of what was hidden; see ``HiddenOnce``."""
        return HiddenOnce(self.sigma, self._score), self._score

    @property
    def children(self) -> Mapping[str, AnomalyScore]:
        """The error."""
        return {"score": self._score}

    def example(
        self,
        x: Tensor,
        mask: Tensor,
        t: Tensor,
        noise: NoiseGenerator,
        schedule: Schedule,
        generator: Generators,
    ) -> Example:
        """Hide a part of each brain, or now and then all of it.

        Args:
            x: Clean images in [-1, 1], (B, C, *S).
            mask: Brain masks, (B, 1, *S).
            t: Levels, (B,), 1.
            noise: Unit noise.
            schedule: Not used: what is hidden has no signal.
            generator: One for each item.
        """
        generators = generators_for(generator, len(x))
        hidden_mask = torch.stack([self._draw_hidden(m, g) for m, g in zip(mask, generators, strict=True)])
        z = noise(x, t, generator=generators)
        state = torch.where(hidden_mask, self.sigma * z, x)
        return Example(x, z, state, hidden_mask if self.loss == "hidden" else None)

    def _draw_hidden(self, brain: Tensor, generator: torch.Generator) -> Tensor:
        is_whole = float(torch.rand((), generator=generator, device=generator.device)) < self.whole
        return brain > 0 if is_whole else draw_hidden(brain, generator)
