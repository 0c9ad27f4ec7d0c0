"""What corruptions have in common that paint into intensities, one image at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor

from diffad.data.corruptions.checks import check_damage_call, check_unit_range
from diffad.data.corruptions.place import Box, Foreground, Place, draw_place
from diffad.data.corruptions.shape import Bools, Floats, Random
from diffad.data.corruptions.stream import seed_rng
from diffad.registry import CORRUPTIONS
from diffad.types import Generators, widest_float

VISIBLE_CHANGE = 1e-3
"""Smallest change of a channel by which a blend or a lesion counts."""

Changed = tuple[Floats, Bools, list[dict[str, Any]]]
"""An image after the change, where it changed, and the drawn numbers of each change."""

MAX_CHANGES = 4
"""Largest number of changes of one image."""

MAX_TRIES = 8
"""Number of times that a change is drawn until it shows somewhere."""

Own = TypeVar("Own", bound="ImageCorruption")


class ImageCorruption(ABC):
    """A corruption of intensities in [0, 1], which draws by NumPy; it follows ``protocols.Corruption``."""

    others: Sequence[Tensor] = ()
    """Images that patches come from, (C', *S') each; none takes them from the image itself."""
    foreign: Sequence[Tensor] = ()
    """Images of another modality, for ``cross_blend``."""

    takes_codes: ClassVar[bool] = False
    has_strength: ClassVar[bool] = False
    """Whether it paints by a strength of its own; all others go a share of the way to what they painted."""

    def with_sources(self: Own, others: Sequence[Tensor], foreign: Sequence[Tensor] = ()) -> Own:
        """Return the same corruption with images that patches come from."""
        twin = copy(self)
        twin.others, twin.foreign = others, foreign
        return twin

    def __call__(
        self, x: Tensor, mask: Tensor, *, level: Tensor | float | None = None, generators: Generators
    ) -> tuple[Tensor, Tensor]:
        """Damage ``x`` (B, C, *S) in [0, 1] within ``mask`` (B, 1, *S); see ``protocols.Corruption``.

        Raises:
            ValueError: If a shape, a level or an intensity does not fit, or a brain has no room for a shape.
        """
        levels, generators = check_damage_call(x, mask, level, generators)
        self._check_intensities(x)
        image, weight = x.clone(), torch.zeros(mask.shape, dtype=widest_float(x.device), device=x.device)
        for i, (each, generator) in enumerate(zip(levels, generators, strict=True)):
            image[i], region, params = self.corrupt(x[i], mask[i] > 0, seed_rng(generator), each)
            weight[i] = params["strength"] * region.to(weight)
        return image, weight

    def corrupt(
        self, image: Tensor, brain: Tensor, rng: Random, level: float | None = None, keep: bool = True
    ) -> tuple[Tensor, Tensor, dict[str, Any]]:
        """Return one image (C, *S) after the change, what changed (1, *S), and the drawn numbers."""
        values, tissue = image.detach().cpu().double().numpy(), brain[0].cpu().numpy()
        current, mask, changes = self.change(values, tissue, rng, level, keep)
        share = 1.0 if level is None or self.has_strength else level
        current = current if share == 1 else values + share * (current - values)
        region = torch.from_numpy(mask).to(image.device)[None]
        if level == 0:
            region = torch.zeros_like(region)
        result = torch.where(region, torch.from_numpy(current).to(image), image)
        severity = float((result - image).abs().max())
        strength = read_strength(changes, severity, share)
        return result, region, {"changes": tuple(changes), "severity": severity, "strength": strength}

    @abstractmethod
    def change(self, image: Floats, brain: Bools, rng: Random, level: float | None, keep: bool) -> Changed:
        """Change an image (C, *S) within the brain (*S)."""

    def _check_intensities(self, x: Tensor) -> None:
        try:
            check_unit_range(x)
        except ValueError as error:
            names = [name for name, part in CORRUPTIONS.list_registered() if part is type(self)]
            raise ValueError(f"corruption {[*names, type(self).__name__][0]!r}: {error}") from error


class Shaped(ImageCorruption):
    """Changes one to four convex shapes of an image."""

    is_blend: ClassVar[bool] = False
    """Whether it reaches beyond its shape, so that the mask marks where the image changed."""

    @abstractmethod
    def change_place(self, image: Floats, place: Place, rng: Random) -> tuple[Floats, dict[str, Any]]:
        """Return the box of a place after the change, (C, *box), and the drawn numbers."""

    def change(self, image: Floats, brain: Bools, rng: Random, level: float | None, keep: bool) -> Changed:
        """Change one to four places of the brain."""
        current, foreground = image.copy(), Foreground.of(brain)
        axes = tuple(range(1, current.ndim))
        limits = current.min(axes, keepdims=True), current.max(axes, keepdims=True)
        mask, changes = np.zeros_like(brain), []
        for _ in range(draw_count(rng)):
            for _ in range(MAX_TRIES):
                place = draw_place(foreground, rng)
                values, params = self.change_place(current, place, rng)
                change = _paste(current, np.clip(values, *limits), place, self.is_blend, keep)
                if change.any():
                    break
            mask[place.box] |= change
            changes.append({"box": _list_ends(place.box), "ellipse": place.shape.ellipse, **params})
        return current, mask, changes


class Painted(ImageCorruption):
    """Paints a lesion into the brain, once."""

    @abstractmethod
    def paint(
        self, image: Floats, brain: Bools, rng: Random, strength: float | None
    ) -> tuple[Floats, dict[str, Any]]:
        """Return the image (C, *S) with a lesion in the brain (*S), and the drawn numbers."""

    def change(self, image: Floats, brain: Bools, rng: Random, level: float | None, keep: bool) -> Changed:
        """Paint within the box around the brain until something shows."""
        boxes = np.array([_list_ends(box) for box in Foreground.of(brain).boxes])
        ends = zip(boxes[..., 0].min(0), boxes[..., 1].max(0), strict=True)
        box = tuple(slice(low, high) for low, high in ends)
        tissue, current, mask = brain[box], image.copy(), np.zeros_like(brain)
        view = current[(slice(None), *box)]
        for _ in range(MAX_TRIES):
            values, params = self.paint(view, tissue, rng, level)
            values = np.clip(values, 0, 1)
            change = (np.abs(values - view) > VISIBLE_CHANGE).any(0) & tissue
            if change.any():
                break
        view[...] = np.where(change, values, view)
        mask[box] = change
        return current, mask, [{"box": _list_ends(box), **params}]


def read_strength(changes: Sequence[dict[str, Any]], severity: float, share: float = 1.0) -> float:
    """Return the largest strength that changes tell of themselves, in [0, 1]; none tell the severity.

    Args:
        changes: The drawn numbers of each.
        severity: Largest change of a voxel.
        share: How far the image went on the way to what was drawn; the severity holds that already.
    """
    strengths = [
        change[key] for change in changes for key in ("alpha_texture", "alpha_bias") if key in change
    ]
    strengths += [weight for change in changes for weight in change.get("weights", ())]
    return share * float(max(strengths)) if strengths else float(severity)


def draw_count(rng: Random) -> int:
    """Draw the number of changes: one more with probability 1/2, at most four."""
    count = 1
    while count < MAX_CHANGES and rng.random() < 0.5:
        count += 1
    return count


def _list_ends(box: Box) -> tuple[tuple[int, int], ...]:
    return tuple((int(cut.start), int(cut.stop)) for cut in box)


def _paste(image: Floats, values: Floats, place: Place, is_blend: bool, keep: bool) -> Bools:
    """Paste the changed box into the image where the change counts, and return where that is."""
    box_image = image[(slice(None), *place.box)]
    change = (np.abs(values - box_image) > VISIBLE_CHANGE).any(0) if is_blend else place.mask
    change = np.asarray(change & place.tissue if keep else change)
    box_image[...] = np.where(change, values, box_image)
    return change
