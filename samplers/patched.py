"""Patched diffusion: one box at a time is drowned in noise, and the rest of the image tells what is there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from diffad.capabilities import list_parts, picks_region
from diffad.protocols import Denoiser, NoiseGenerator, Sampler
from diffad.registry import SAMPLERS
from diffad.samplers.base import check_call, level_option
from diffad.samplers.boxes import (
    PLACEMENTS,
    Box,
    crop_box,
    draw_anywhere,
    draw_listed,
    draw_within,
    list_boxes,
    resolve_sides,
    sides_option,
)
from diffad.samplers.examples import crop_example, keep_context, make_example
from diffad.samplers.stitch import BLENDS, ReconstructionStitch, Records, Stitch, blend_window
from diffad.samplers.views import BoxView, CropView, SharedNoise, WholeView
from diffad.samplers.whole_noise import bind_noise, check_whole_noise, draw_streams, noise_whole
from diffad.schedule import Schedule
from diffad.types import Example, Generators, Reconstruction, StepRecord, generators_for


@SAMPLERS.register("patched")
class Patched:
    r"""Restores an image box by box with another sampler, and stitches the boxes.

    .. math:: \bar x = \frac{\sum_k w_k \, \hat x^{(k)}}{\sum_k w_k}, \quad
              x_t^{(k)} = m_k (\sqrt{\bar\alpha_t} x + \sqrt{1 - \bar\alpha_t} z) + (1 - m_k) x

    With ``context`` the network sees the whole image, clean outside the box :math:`m_k`, at every level.
    Without, it sees the box alone: the sliding window of networks that are trained on patches. Either way
    all boxes of all items go through the inner sampler as one batch, stacked "(k b)", and share one
    field of noise. ``on_step`` gets one record for each move of the inner sampler, with its states stitched
    to whole images, and a spread of the inner sampler is the weighted mean of the boxes'. ``nfe`` counts the
    network evaluations of an item, those of whole images with ``context`` and of boxes without, which were
    not left out.

    Args:
        box: Side :math:`p` of the boxes in voxels, or one for each spatial axis.
        overlap: Share of a box that the next one covers again, in [0, 1). At 0, boxes that hang over the edge
            are cut, or shifted inside without ``context``.
        inner: Sampler of each box, as a mapping of its ``name`` and options; one estimate at level 500, as
            published, when absent.
        context: Whether the network sees the whole image.
        blend: "mean" weighs all voxels of a box alike, "gaussian" less towards its faces.
        placement: "grid", or "spread" for the published overlap: as few boxes as cover the image, evenly
            spread.
        skip_empty: Leave out boxes in which no item of the batch has a voxel of its mask. An item is left as
            it is in the boxes where it has none, so that nothing inside a mask depends on the batch.
        at_once: Most boxes in one run of the inner sampler; all when absent. Results do not depend on it.
        random: Train on boxes anywhere, every voxel equally often, rather than on those of the grid.
        whole_noise: Noise of the whole image that networks such as "bridge" are shown beside: "shared" with
            the box, as published, or "own". Where it is shared, scan and noised scan outside the box give
            away the noise there, and what is smooth of it within the box.

    Raises:
        TypeError: If a number is no integer.
        ValueError: If an option is out of range or would be ignored.

    Reference:
        Patched Diffusion Models for Unsupervised Anomaly Detection (Behrendt et al., 2023), section 2.2.
    """

    def __init__(
        self,
        box: int | Sequence[int] = 48,
        overlap: float = 0.0,
        inner: Mapping[str, Any] | Sampler | None = None,
        context: bool = True,
        blend: str = "mean",
        placement: str = "grid",
        skip_empty: bool = True,
        at_once: int | None = None,
        random: bool = False,
        whole_noise: str = "shared",
    ) -> None:
        _check_options(overlap, blend, placement, context, random)
        self.box = box
        self.overlap = overlap
        self.inner = {"name": "oneshot", "levels": 500} if inner is None else inner
        self.context = context
        self.blend = blend
        self.placement = placement
        self.skip_empty = skip_empty
        self.at_once = None if at_once is None else level_option("at_once", at_once)
        self.random = random
        self.whole_noise = whole_noise
        self._sides = sides_option(box)
        self._inner = _build_inner(self.inner)
        check_whole_noise(whole_noise, context, self._inner)
        self._view: Callable[[Sequence[Box]], BoxView] = WholeView if context else CropView

    @property
    def children(self) -> Mapping[str, Sampler]:
        """The inner sampler."""
        return {"inner": self._inner}

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
        """Restore ``x`` (B, C, *S) in [-1, 1]; boxes without ``mask`` (B, 1, *S) are left as they are."""
        check_call(x, denoiser, 0, generator)
        _check_mask(x, mask)
        boxes, alive = self._choose_boxes(x, mask)
        weights = blend_window(resolve_sides(self._sides, x.shape[2:]), self.blend)

        def begin(under: Tensor) -> Stitch:
            return Stitch(under, boxes, weights, alive)

        whole = ReconstructionStitch(begin, x)
        records = None if on_step is None else Records(begin, x, on_step)
        generators = generators_for(generator, len(x))
        streams = draw_streams(self.whole_noise, denoiser, generators)
        states = [g.get_state() for g in generators]
        for chunk, first, last in _split_boxes(boxes, self.at_once):
            for g, state in zip(generators, states, strict=True):
                # every chunk shares the same field of noise
                g.set_state(state)
            view = self._view(chunk)
            result = self._inner(
                view.stack(x),
                bind_noise(view.denoiser(denoiser, x), streams, noise, view, x),
                SharedNoise(noise, view, x),
                generator=generators * len(chunk),
                mask=None if mask is None else view.stack(mask),
                on_step=None if records is None else records.of(view.parts, first, last),
            )
            whole.add(result, view.parts, len(chunk))
        return whole.reconstruction()

    def _list_boxes(self, shape: Sequence[int]) -> list[Box]:
        sides = resolve_sides(self._sides, shape)
        return list_boxes(shape, sides, self.overlap, self.placement, equal=not self.context)

    def _choose_boxes(self, x: Tensor, mask: Tensor | None) -> tuple[list[Box], Tensor]:
        """Return the boxes to restore, and for which items each counts, (K, B).

        Boxes are left out for the whole batch, which keeps the order "(k b)". One always stays: the inner
        sampler then makes its checks and its records even where there is no brain.
        """
        boxes = self._list_boxes(x.shape[2:])
        if mask is None or not self.skip_empty:
            return boxes, torch.ones(len(boxes), len(x), dtype=torch.bool)
        alive = torch.stack([(crop_box(mask, box) > 0).flatten(1).any(1) for box in boxes]).cpu()
        numbers = [k for k, counts in enumerate(alive.any(1).tolist()) if counts] or [0]
        return [boxes[k] for k in numbers], alive[numbers]

    def example(
        self,
        x: Tensor,
        mask: Tensor,
        t: Tensor,
        noise: NoiseGenerator,
        schedule: Schedule,
        generator: Generators,
    ) -> Example:
        """Noise one box of each clean ``x`` (B, C, *S) in [-1, 1] at its level ``t`` (B,).

        With context the box is one of the grid, or anywhere if ``random``, and the loss counts inside it.
        Without, the box is cut out around a voxel of ``mask`` (B, 1, *S). An inner sampler with examples of
        its own makes the noisy state.
        """
        _check_mask(x, mask)
        generators = generators_for(generator, len(x))
        boxes = [self._draw_box(m, g) for m, g in zip(mask, generators, strict=True)]
        whole = make_example(self._inner, x, mask, t, noise, schedule, generators)
        if not self.context:
            return crop_example(whole, boxes)
        example = keep_context(whole, boxes)
        if self.whole_noise == "shared":
            return example
        return noise_whole(example, t, noise, schedule, generators)

    def _draw_box(self, mask: Tensor, generator: torch.Generator) -> Box:
        """Draw the box of one training item with its mask (1, *S)."""
        shape = mask.shape[1:]
        sides = resolve_sides(self._sides, shape)
        if not self.context:
            return draw_within(mask, sides, generator)
        return (
            draw_anywhere(shape, sides, generator)
            if self.random
            else draw_listed(self._list_boxes(shape), generator)
        )


def _split_boxes(boxes: Sequence[Box], size: int | None) -> Iterator[tuple[Sequence[Box], bool, bool]]:
    """Split the boxes into chunks; tell for each whether it is the first and the last."""
    size = len(boxes) if size is None else size
    for start in range(0, len(boxes), size):
        yield boxes[start : start + size], start == 0, start + size >= len(boxes)


def _build_inner(inner: Mapping[str, Any] | Sampler) -> Sampler:
    """Build a sampler from a mapping of ``name`` and options; a ready one passes."""
    sampler: Sampler = SAMPLERS.ready(inner, "an inner sampler")
    for _, part in list_parts(sampler):
        if picks_region(part):
            raise ValueError(
                f"expected an inner sampler that renews all of a box, got {type(part).__name__}, which picks "
                "a region of the whole image: let it be the sampler"
            )
    return sampler


def _check_options(overlap: float, blend: str, placement: str, context: bool, random: bool) -> None:
    if not (math.isfinite(overlap) and 0 <= overlap < 1):
        raise ValueError(f"overlap must be in [0, 1), got {overlap}")
    if blend not in BLENDS:
        raise ValueError(f"blend must be one of {BLENDS}, got {blend!r}")
    if placement not in PLACEMENTS:
        raise ValueError(f"placement must be one of {PLACEMENTS}, got {placement!r}")
    if placement == "spread" and overlap:
        raise ValueError(f"overlap follows from placement 'spread', got {overlap}")
    if random and not context:
        raise ValueError("random belongs to boxes in context: without, boxes are always drawn in the brain")


def _check_mask(x: Tensor, mask: Tensor | None) -> None:
    shape = (len(x), 1, *x.shape[2:])
    if mask is not None and tuple(mask.shape) != shape:
        raise ValueError(f"expected mask of shape {shape}, got {tuple(mask.shape)}")
