"""One image, corrupted by one task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffad.data.corruptions.place import Foreground, Place, draw_place
from diffad.data.corruptions.shape import Bools, Floats, Random
from diffad.data.corruptions.tasks import BLENDS, CHANGES, Sources, check_task

VISIBLE = 1e-3
"""A blend counts where it changes a channel by more than this."""

MOST = 4
"""Most changes of one image."""

TRIES = 8
"""How often a change that shows nowhere is drawn again."""


@dataclass(frozen=True)
class Corrupted:
    """An image with changes of one kind.

    Args:
        image: Changed image, (C, *S), in [0, 1].
        target: The image as it came, the very same tensor.
        mask: What changed, (1, *S), boolean. For ``sink``, ``source`` and ``intensity`` the shapes drawn; for
            blends where a channel moved by more than 0.001. Outside, ``image`` equals ``target`` bit by bit.
        task: One of ``TASKS``.
        params: What was drawn: ``changes``, for each change its ``box`` and the numbers of its task.
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
) -> Corrupted:
    r"""Change one to four places of the brain (probabilities 1/2, 1/4, 1/8, 1/8).

    Each change draws a convex shape, a place, and what the task does there; the result is clipped to the
    range of each channel of the image.

    Args:
        image: Image :math:`y`, (C, *S) with two or three spatial axes, in [0, 1].
        brain: Brain mask, (1, *S), boolean.
        task: ``blend`` (a patch of another image), ``cross_blend`` (a patch of another modality), ``sink``
            (tissue drawn inwards), ``source`` (tissue pushed outwards) or ``intensity`` (textured change).
        generator: Source of all randomness; one number is drawn from it.
        others: Images for ``blend``, (C', *S'); when empty, patches come from other places of the image.
        foreign: Images of another modality for ``cross_blend``; when empty, ``others`` or the image itself
            with the contrast of the tissue turned around, see ``blend.other_contrast``.
        keep: Keep the background as it is; off lets shapes reach beyond the brain, as published.

    Raises:
        ValueError: If the task is unknown, the brain is empty or has no room for a shape, or a shape or an
            intensity does not fit.
        TypeError: If the image is not floating point or the brain not boolean.

    Reference:
        Many tasks make light work (Baugh et al., 2023).
    """
    check_task(task)
    check_images(image, brain, ("C",), ("1",))
    return corrupt_by(image, brain, task, numpy_random(generator), Sources(others, foreign), keep)


def corrupt_by(
    image: Tensor, brain: Tensor, task: str, rng: Random, sources: Sources, keep: bool = True
) -> Corrupted:
    """Corrupt an image that was checked; ``corrupt`` tells what."""
    current = image.detach().cpu().double().numpy().copy()
    foreground = Foreground.of(brain[0].cpu().numpy())
    axes = tuple(range(1, current.ndim))
    limits = current.min(axes, keepdims=True), current.max(axes, keepdims=True)
    mask, changes = np.zeros_like(foreground.mask), []
    for _ in range(draw_count(rng)):
        for _ in range(TRIES):
            place = draw_place(foreground, rng)
            part, drawn = CHANGES[task](current, place, sources, rng)
            touched = _write(current, np.clip(part, *limits), place, task in BLENDS, keep)
            if touched.any():
                break
        mask[place.box] |= touched
        corners = tuple((cut.start, cut.stop) for cut in place.box)
        changes.append({"box": corners, "ellipse": place.shape.ellipse, **drawn})
    where = torch.from_numpy(mask).to(image.device)[None]
    changed = torch.where(where, torch.from_numpy(current).to(image), image)
    return Corrupted(changed, image, where, task, {"changes": tuple(changes)})


def draw_count(rng: Random) -> int:
    """Draw how many changes: one more with probability 1/2, at most four."""
    count = 1
    while count < MOST and rng.random() < 0.5:
        count += 1
    return count


def numpy_random(generator: torch.Generator) -> Random:
    """Seed a stream of its own by one number of the generator."""
    seed = torch.randint(2**63 - 1, (), generator=generator, device=generator.device)
    return np.random.default_rng(int(seed))


def _write(current: Floats, part: Floats, place: Place, blended: bool, keep: bool) -> Bools:
    """Put the changed box into the image where it counts, and tell where that is."""
    before = current[(slice(None), *place.box)]
    touched = (np.abs(part - before) > VISIBLE).any(0) if blended else place.inside
    touched = np.asarray(touched & place.tissue if keep else touched)
    before[...] = np.where(touched, part, before)
    return touched


def check_images(image: Tensor, brain: Tensor, lead: tuple[str, ...], single: tuple[str, ...]) -> None:
    """Check image (C, *S) and brain (1, *S), or batches of them, whose leading axes are told."""
    k = len(lead)
    fits = image.ndim - k in (2, 3) and brain.shape == (*image.shape[: k - 1], 1, *image.shape[k:])
    if not fits:
        names = f"image ({', '.join(lead)}, *S) and brain ({', '.join(single)}, *S)"
        raise ValueError(f"expected {names}, got {tuple(image.shape)} and {tuple(brain.shape)}")
    if not image.is_floating_point() or brain.dtype != torch.bool:
        raise TypeError(f"expected a float image and a boolean brain, got {image.dtype} and {brain.dtype}")
    if image.numel() and not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(f"expected intensities in [0, 1], got {image.min():.3g} to {image.max():.3g}")
