"""One image, corrupted by one task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffad.data.corruptions.place import Box, Foreground, Place, draw_place
from diffad.data.corruptions.shape import Bools, Floats, Random
from diffad.data.corruptions.tasks import BLENDS, CHANGES, FULL, PAINTERS, Sources, check_task

VISIBLE_CHANGE = 1e-3
"""Smallest change of a channel by which a blend or a lesion counts."""

Changed = tuple[Floats, Bools, list[dict[str, Any]]]
"""An image after the change, where it changed, and the drawn numbers of each change."""

MAX_CHANGES = 4
"""Largest number of changes of one image."""

MAX_TRIES = 8
"""Number of times that a change is drawn until it shows somewhere."""


@dataclass(frozen=True)
class CorruptedImage:
    """An image with changes of one kind.

    Args:
        image: Changed image, (C, *S), in [0, 1].
        target: The image before the change, the very same tensor.
        mask: What changed, (1, *S), boolean: the drawn shapes for ``sink``, ``source`` and ``intensity``; for
            all others, where a channel moved by more than 0.001. Outside, ``image`` equals ``target`` bit by
            bit.
        task: One of ``ANY``.
        params: The drawn numbers: ``changes``, with the ``box`` and the numbers of the task for each change,
            ``severity``, the largest change of a voxel, and ``strength``, the largest that the task tells of
            its changes or else the severity; both in [0, 1].
    """

    image: Tensor
    target: Tensor
    mask: Tensor
    task: str
    params: dict[str, Any] = field(default_factory=dict)


def corrupt(
    image: Tensor,
    brain: Tensor,
    task: str,
    generator: torch.Generator,
    others: Sequence[Tensor] = (),
    foreign: Sequence[Tensor] = (),
    keep: bool = True,
) -> CorruptedImage:
    r"""Change one to four places of the brain (probabilities 1/2, 1/4, 1/8, 1/8).

    Each change draws a convex shape, a place and the numbers of the task; the result is clipped to the
    range of each channel of the image. Lesions (``fluid`` and what follows) are painted once, by ways of
    their own, never beyond the brain, and clipped to [0, 1].

    Args:
        image: Image :math:`y`, (C, *S) with two or three spatial axes, in [0, 1].
        brain: Brain mask, (1, *S), boolean.
        task: ``blend`` (a patch of another image), ``cross_blend`` (a patch of another modality), ``sink``
            (tissue drawn inwards), ``source`` (tissue pushed outwards), ``intensity`` (textured change),
            ``fluid`` (a blob carried by a fluid), ``spots`` (several small ones), ``mass`` (a growth that
            displaces), ``disyre`` (shape, texture and bias), ``foreign`` (a soft patch) or ``walk`` (ragged
            polygons).
        generator: Source of all randomness; one number is drawn from it.
        others: Images for ``blend``, ``disyre`` and ``foreign``, (C', *S'); when empty, patches come from
            other places of the image.
        foreign: Images of another modality for ``cross_blend``; when empty, ``others`` or the image itself
            with inverted contrast of the tissue, see ``blend.remap_contrast``.
        keep: Whether the background stays as it is; otherwise shapes reach beyond the brain, as published.

    Raises:
        ValueError: If the task is unknown, the brain is empty or has no room for a shape, or a shape or an
            intensity does not fit.
        TypeError: If the image is not floating point or the brain not boolean.

    Reference:
        Many tasks make light work (Baugh et al., 2023).
    """
    check_task(task)
    check_images(image, brain, ("C",), ("1",))
    return corrupt_by(image, brain, task, seed_rng(generator), Sources(others, foreign), keep)


def corrupt_by(
    image: Tensor,
    brain: Tensor,
    task: str,
    rng: Random,
    sources: Sources,
    keep: bool = True,
    full: bool = False,
) -> CorruptedImage:
    """Corrupt an image that was checked, on request as strongly as the task can; see ``corrupt``."""
    values, tissue = image.detach().cpu().double().numpy(), brain[0].cpu().numpy()
    if task in PAINTERS:
        current, mask, changes = _paint_lesion(values, tissue, task, rng, sources, full)
    else:
        current, mask, changes = _change_places(values, tissue, task, rng, sources, keep)
    region = torch.from_numpy(mask).to(image.device)[None]
    result = torch.where(region, torch.from_numpy(current).to(image), image)
    severity = float((result - image).abs().max())
    strength = read_strength(changes, severity)
    params = {"changes": tuple(changes), "severity": severity, "strength": strength}
    return CorruptedImage(result, image, region, task, params)


def _change_places(
    image: Floats, brain: Bools, task: str, rng: Random, sources: Sources, keep: bool
) -> Changed:
    current, foreground = image.copy(), Foreground.of(brain)
    axes = tuple(range(1, current.ndim))
    limits = current.min(axes, keepdims=True), current.max(axes, keepdims=True)
    mask, changes = np.zeros_like(brain), []
    for _ in range(draw_count(rng)):
        for _ in range(MAX_TRIES):
            place = draw_place(foreground, rng)
            values, params = CHANGES[task](current, place, sources, rng)
            change = _paste(current, np.clip(values, *limits), place, task in BLENDS, keep)
            if change.any():
                break
        mask[place.box] |= change
        changes.append({"box": _list_ends(place.box), "ellipse": place.shape.ellipse, **params})
    return current, mask, changes


def _paint_lesion(
    image: Floats, brain: Bools, task: str, rng: Random, sources: Sources, full: bool
) -> Changed:
    """Paint within the box around the brain until something shows."""
    painter = FULL.get(task, PAINTERS[task]) if full else PAINTERS[task]
    boxes = np.array([_list_ends(box) for box in Foreground.of(brain).boxes])
    box = tuple(
        slice(low, high) for low, high in zip(boxes[..., 0].min(0), boxes[..., 1].max(0), strict=True)
    )
    tissue, current, mask = brain[box], image.copy(), np.zeros_like(brain)
    view = current[(slice(None), *box)]
    for _ in range(MAX_TRIES):
        values, params = painter(view, tissue, sources, rng)
        values = np.clip(values, 0, 1)
        change = (np.abs(values - view) > VISIBLE_CHANGE).any(0) & tissue
        if change.any():
            break
    view[...] = np.where(change, values, view)
    mask[box] = change
    return current, mask, [{"box": _list_ends(box), **params}]


def read_strength(changes: Sequence[dict[str, Any]], severity: float) -> float:
    """Return the largest strength that changes tell of themselves, in [0, 1]; none tell the severity."""
    strengths = [
        change[key] for change in changes for key in ("alpha_texture", "alpha_bias") if key in change
    ]
    strengths += [weight for change in changes for weight in change.get("weights", ())]
    return float(max(strengths, default=severity))


def _list_ends(box: Box) -> tuple[tuple[int, int], ...]:
    return tuple((int(cut.start), int(cut.stop)) for cut in box)


def draw_count(rng: Random) -> int:
    """Draw the number of changes: one more with probability 1/2, at most four."""
    count = 1
    while count < MAX_CHANGES and rng.random() < 0.5:
        count += 1
    return count


def seed_rng(generator: torch.Generator) -> Random:
    """Make a NumPy generator, seeded by one number of the generator."""
    seed = torch.randint(2**63 - 1, (), generator=generator, device=generator.device)
    return np.random.default_rng(int(seed))


def _paste(image: Floats, values: Floats, place: Place, is_blend: bool, keep: bool) -> Bools:
    """Paste the changed box into the image where the change counts, and return where that is."""
    box_image = image[(slice(None), *place.box)]
    change = (np.abs(values - box_image) > VISIBLE_CHANGE).any(0) if is_blend else place.mask
    change = np.asarray(change & place.tissue if keep else change)
    box_image[...] = np.where(change, values, box_image)
    return change


def check_images(image: Tensor, brain: Tensor, lead: tuple[str, ...], single: tuple[str, ...]) -> None:
    """Check image (C, *S) and brain (1, *S), or batches of them; messages name the leading axes."""
    k = len(lead)
    fits = image.ndim - k in (2, 3) and brain.shape == (*image.shape[: k - 1], 1, *image.shape[k:])
    if not fits:
        names = f"image ({', '.join(lead)}, *S) and brain ({', '.join(single)}, *S)"
        raise ValueError(f"expected {names}, got {tuple(image.shape)} and {tuple(brain.shape)}")
    if not image.is_floating_point() or brain.dtype != torch.bool:
        raise TypeError(f"expected a float image and a boolean brain, got {image.dtype} and {brain.dtype}")
    if image.numel() and not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(f"expected intensities in [0, 1], got {image.min():.3g} to {image.max():.3g}")
