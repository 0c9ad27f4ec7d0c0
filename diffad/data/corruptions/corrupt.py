"""One image, corrupted by one task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from diffad.data.corruptions.batch import corrupt_item
from diffad.data.corruptions.checks import check_images
from diffad.data.corruptions.painted import ImageCorruption
from diffad.data.corruptions.stream import seed_rng
from diffad.data.corruptions.tasks import check_task, make_corruption


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
    corruption = make_corruption(task, others, foreign)
    if isinstance(corruption, ImageCorruption):
        changed_image, mask, params = corruption.corrupt(image, brain, seed_rng(generator), keep=keep)
    else:
        item = (image[None], brain[None], False, generator)
        changed_image, weight = corrupt_item(task, corruption, *item)
        mask, strength = weight > 0, float(weight.max())
        severity = float((changed_image - image).abs().max())
        params = {"changes": (), "severity": severity, "strength": strength}
    return CorruptedImage(changed_image, image, mask, task, params)
