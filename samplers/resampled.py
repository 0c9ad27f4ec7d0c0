"""Mask, stitch and re-sample: what a first pass finds suspicious is made anew, in its healthy context."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from diffad.denoise import as_denoiser
from diffad.protocols import AnomalyScore, Denoiser, NoiseGenerator, Sampler
from diffad.registry import SAMPLERS, SCORES
from diffad.samplers.base import check_call, level_option
from diffad.samplers.examples import make_example
from diffad.samplers.likelihood import LIKELIHOOD, FirstPass, dilate_region, find_suspects
from diffad.samplers.repaint import RePaint, list_moves
from diffad.samplers.streams import SeedStreams
from diffad.schedule import Schedule
from diffad.types import Example, Generators, Reconstruction, StepRecord

OnStep = Callable[[StepRecord], None]


@SAMPLERS.register("resampled")
class Resampled:
    r"""Finds what is suspicious with a coarse reconstruction, and re-samples that alone, given all the rest.

    .. math:: L = a(x, x_c), \quad m = \text{dilate}[L > \tau], \quad
              z_s = m \, p(z_s | z_t) + (1 - m) \, q(z_s | x), \quad \hat x = m \, z_0 + (1 - m) \, x

    The coarse reconstruction :math:`x_c` gives the mask :math:`m` and where re-sampling starts. Each move is
    made several times, with a jump back up between, so that what is new comes to fit what is known; the known
    is always that of the whole image. Outside the mask the image stays, exactly. Items without
    a suspicious voxel cost the coarse pass alone; ``nfe`` is what the dearest item of the batch cost. The
    likelihood :math:`L` is the map of the result: the published anomaly map is the score "product" of "l1"
    and "likelihood". ``on_step`` sees the moves of the coarse pass, then those of re-sampling, where items
    that are left out stay as they are; jumps up are no moves.

    Args:
        coarse: Sampler of the coarse reconstruction, as a mapping of its ``name`` and options; a "chain" from
            level 200 if there is none. Index 200 of published code is level 201.
        score: Score that compares image and coarse reconstruction, as a mapping of its ``name`` and options;
            the product of "relative" and "ssim" if there is none. The published factor of the residual is
            LPIPS.
        threshold: Likelihood :math:`\tau` above which a voxel is suspicious. It belongs to a score and a
            network, so training measures it on healthy scans, where it is absent.
        share: Without a threshold, the share of the brain that is suspicious in each item, and so also in
            every healthy one, which a measured threshold spares; ties at this quantile are not.
        dilate: Side of the square or cube that the mask grows by, in voxels, odd; 1 leaves it.
        level: Level that re-sampling starts at, in 1..T. Index 50 of published code is level 51.
        steps: Moves from there, evenly spaced; one per level when absent.
        repeats: Times :math:`R` that each move is made; the last one, to level 0, once.
        start: "coarse" starts from the coarse reconstruction, "stitched" from the image with it in the mask.
        whole: What to do if the mask covers all of an item's brain, so that nothing is known: "sample"
            without context, as befits a slice that shows next to no brain, or "error".
        fpr: Share of healthy voxels that a measured threshold may find suspicious.
        reference: Jump back with the :math:`\beta` of one level below, leave out the last move, and scale by
            the whole image instead of the brain, as published.

    Raises:
        TypeError: If a number of levels, moves, repeats or voxels is no integer.
        ValueError: If an option is out of range, or on call, if the mask covers all of a brain.

    Reference:
        Mask, Stitch, and Re-Sample: Enhancing Robustness and Generalizability in Anomaly Detection through
        Automatic Diffusion Models (Bercea et al., 2023), section 2; RePaint (Lugmayr et al., 2022),
        algorithm 1.
    """

    def __init__(
        self,
        coarse: Mapping[str, Any] | Sampler | None = None,
        score: Mapping[str, Any] | AnomalyScore | None = None,
        threshold: float | None = None,
        share: float = 0.05,
        dilate: int = 3,
        level: int = 50,
        steps: int | None = None,
        repeats: int = 5,
        start: str = "coarse",
        whole: str = "sample",
        fpr: float = 0.05,
        reference: bool = False,
    ) -> None:
        _check_options(threshold, share, dilate, start, whole, fpr)
        self.coarse = {"name": "chain", "level": 200} if coarse is None else coarse
        self.score = LIKELIHOOD if score is None else score
        self.threshold, self.share, self.fpr = threshold, share, fpr
        self.dilate, self.start, self.whole = dilate, start, whole
        self.level, self.steps, self.repeats, self.reference = level, steps, repeats, reference
        self._moves = list_moves(level, steps, repeats, reference)
        coarse_sampler = SAMPLERS.ready(self.coarse, "a coarse sampler")
        self._first = FirstPass(coarse_sampler, SCORES.ready(self.score), everywhere=reference)
        self._region: Tensor | None = None

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
        """Restore ``x`` (B, C, *S) in [-1, 1]; ``mask`` (B, 1, *S) is where voxels can be suspicious."""
        check_call(x, denoiser, self.level, generator)
        _check_shape("mask", mask, x)
        coarse = self._first(x, denoiser, noise, generator=generator, mask=mask, on_step=on_step)
        assert coarse.map is not None
        # one number an item is drawn here even if it is left out: the others' noise does not depend on it
        streams = SeedStreams.draw(generator, len(x)).make_generators()
        m = self._find_mask(x, coarse.map, mask)
        items = m.flatten(1).any(1).nonzero().flatten()
        reconstruction, nfe = x.clone(), coarse.nfe
        if len(items):
            start = coarse.image if self.start == "coarse" else torch.where(m, coarse.image, x)
            item_denoiser = as_denoiser(denoiser).select(items)
            paint = RePaint(item_denoiser, noise, [streams[i] for i in items.tolist()], self._moves)
            watch = None if on_step is None else _report_batch(on_step, x, items)
            reconstruction[items] = paint(x[items], start[items], m[items], watch)
            nfe += paint.nfe
        return Reconstruction(reconstruction, nfe, map=coarse.map)

    def _find_mask(self, x: Tensor, likelihood: Tensor, brain: Tensor | None) -> Tensor:
        """Return what to re-sample, (B, 1, *S), bool."""
        if self._region is None:
            eligible_mask = None if self.reference else brain
            suspects = find_suspects(likelihood, self.threshold, self.share, eligible_mask)
            m = dilate_region(suspects, self.dilate)
        else:
            _check_shape("region", self._region, x)
            m = self._region.to(x.device) >= 0.5
        if brain is not None and self.whole == "error":
            _check_context(m, brain.bool())
        return m

    def restricted_to(self, region: Tensor) -> Resampled:
        """Return the same sampler of a batch whose suspicious ``region`` (B, 1, *S) in [0, 1] is known."""
        sampler = copy.copy(self)
        sampler._region = region
        return sampler

    def calibrated(self) -> bool:
        """Tell whether there is a threshold, or one must be measured on healthy scans."""
        return self.threshold is not None

    def calibrating(self) -> tuple[Sampler, AnomalyScore]:
        """Return the sampler and the score whose maps are likelihoods.

        Those of healthy scans give ``threshold``: the quantile that a share ``fpr`` of their voxels exceeds.
        """
        score: AnomalyScore = SCORES.build("likelihood")
        return self._first, score

    @property
    def children(self) -> Mapping[str, Sampler | AnomalyScore]:
        """The coarse sampler and the score of its reconstruction."""
        return {"coarse": self._first.coarse, "score": self._first.score}

    def example(
        self,
        x: Tensor,
        mask: Tensor,
        t: Tensor,
        noise: NoiseGenerator,
        schedule: Schedule,
        generator: Generators,
    ) -> Example:
        """Show the network in training what the coarse sampler shows it, or whole noised images.

        Args:
            x: Clean images in [-1, 1], (B, C, *S).
            mask: Brain masks, (B, 1, *S).
            t: Levels, (B,).
            noise: Unit noise.
            schedule: Amplitudes by level.
            generator: One for each item.
        """
        return make_example(self._first.coarse, x, mask, t, noise, schedule, generator)


def _report_batch(on_step: OnStep, x: Tensor, items: Tensor) -> OnStep:
    """Report moves of some items as moves of the batch ``x`` (B, C, *S), of which the rest stays."""

    def watch(record: StepRecord) -> None:
        states = (x.index_copy(0, items, s) for s in (record.x_t, record.x_hat, record.x_s))
        on_step(StepRecord(record.t, record.s, *states))

    return watch


def _check_options(
    threshold: float | None, share: float, dilate: int, start: str, whole: str, fpr: float
) -> None:
    if threshold is not None and not 0 <= threshold < math.inf:
        raise ValueError(f"threshold must be finite and at least 0, got {threshold}")
    for name, rate in (("share", share), ("fpr", fpr)):
        if not 0 < rate < 1:
            raise ValueError(f"{name} must be in (0, 1), got {rate}")
    if level_option("dilate", dilate) % 2 == 0:
        raise ValueError(f"dilate must be odd, got {dilate}")
    if start not in ("coarse", "stitched"):
        raise ValueError(f"start must be 'coarse' or 'stitched', got {start!r}")
    if whole not in ("error", "sample"):
        raise ValueError(f"whole must be 'error' or 'sample', got {whole!r}")


def _check_shape(name: str, value: Tensor | None, x: Tensor) -> None:
    shape = (len(x), 1, *x.shape[2:])
    if value is not None and tuple(value.shape) != shape:
        raise ValueError(f"expected {name} of shape {shape}, got {tuple(value.shape)}")


def _check_context(m: Tensor, brain: Tensor) -> None:
    covered_items = brain.flatten(1).any(1) & ~(brain & ~m).flatten(1).any(1)
    if covered_items.any():
        item = int(covered_items.nonzero()[0])
        raise ValueError(
            "expected a mask that leaves some brain as context for what is re-sampled, got one that covers "
            f"all of it in item {item}; a higher threshold may help, or whole='sample'"
        )
