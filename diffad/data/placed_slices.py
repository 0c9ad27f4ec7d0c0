"""The slices of a scan in the space of a model, with those that are only shown beside others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffad.data.cache import CachedScan


@dataclass(frozen=True)
class PlacedSlices:
    """Slices of one scan in the space of a model.

    Args:
        image: Intensities in [0, 1], (N, C, *S).
        mask: Brain mask, and marks of lesions, (N, 1 or 2, *S).
        places: Orientation and position of each slice, (N, 2).
        further: Slices that are only neighbours of others, (M, C, *S); none where none are asked for.
        rows: Numbers of the neighbours of each slice among the N and the M beyond them, or none.
    """

    image: Tensor
    mask: Tensor
    places: Tensor
    further: Tensor | None = None
    rows: Sequence[Sequence[int]] | None = None

    def keep(self, selection: Tensor, digest: str, warnings: tuple[str, ...]) -> CachedScan:
        """Keep the slices of a selection (N,), bool, and of the others those that are their neighbours."""
        image, masks = self.image[selection].contiguous(), self.mask[selection].to(torch.uint8)
        scan = (image, masks, digest, self.places[selection], warnings)
        if self.further is None or self.rows is None:
            return CachedScan(*scan)
        numbers = selection.nonzero().flatten().tolist()
        rows = [self.rows[n] for n in numbers]
        others = sorted({n for row in rows for n in row} - set(numbers))
        position = {n: k for k, n in enumerate([*numbers, *others])}
        further = torch.cat([self.image, self.further])[others]
        return CachedScan(*scan, further, torch.tensor([[position[n] for n in row] for row in rows]))


def join_slices(parts: Sequence[PlacedSlices]) -> PlacedSlices:
    """Join the slices along several axes."""
    image, mask, places = (torch.cat([getattr(p, n) for p in parts]) for n in ("image", "mask", "places"))
    further = [part.further for part in parts if part.further is not None]
    if not further:
        return PlacedSlices(image, mask, places)
    rows, first, beyond = [], 0, len(image)
    for part, extra in zip(parts, further, strict=True):
        count = len(part.image)
        rows += [[n + first if n < count else n - count + beyond for n in row] for row in part.rows or ()]
        first, beyond = first + count, beyond + len(extra)
    return PlacedSlices(image, mask, places, torch.cat(further), rows)


def list_neighbour_views(scan: CachedScan) -> list[list[Tensor]]:
    """Return the neighbours of each slice of a scan, none of them copied; none where there are none."""
    if scan.further is None or scan.rows is None:
        return [[] for _ in scan.image]
    count = len(scan.image)
    return [
        [scan.image[n] if n < count else scan.further[n - count] for n in row] for row in scan.rows.tolist()
    ]
