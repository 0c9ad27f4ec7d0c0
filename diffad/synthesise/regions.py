"""Where something is painted: a mask of the user, or a shape that is drawn in healthy tissue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from diffad.data.implants.plan import seed_generator
from diffad.data.volume import Array, Volume, VolumeError
from diffad.fill.lesion import FillRegion, plan_region, read_lesion
from diffad.fill.selftest import draw_healthy_mask
from diffad.inference.scan import ScanSource


def read_region(source: ScanSource, mask: str | Path | Volume | Array) -> tuple[FillRegion, list[str]]:
    """Read where a scan may change, and say what is odd about it.

    Args:
        source: The scan.
        mask: A file, a volume, or an array (I, J, K) on the grid of the scan.

    Raises:
        VolumeError: If it is no mask, lies outside the brain, or covers too much of it.
    """
    assert source.volume is not None
    with _call_it_region():
        values, notes = read_lesion(mask, source.volume)
        region = plan_region(values, source.brain[0, 0].numpy(), source.volume, 0.0)
    place = values & region.brain
    if count := int((values & ~source.brain[0, 0].numpy()).sum()):
        place = values & source.brain[0, 0].numpy()
        notes = [
            *notes,
            f"{count} of {int(values.sum())} voxels of the region lie outside the brain, and stay",
        ]
    return FillRegion(place, place, region.brain, region.warnings), notes


@contextmanager
def _call_it_region() -> Iterator[None]:
    """Say region in messages about masks of lesions; here a mask is of what is to come."""
    try:
        yield
    except VolumeError as error:
        text = str(error).replace("a lesion mask", "a region").replace("the lesion mask", "the region")
        raise VolumeError(text) from error


def draw_region(source: ScanSource, volume_ml: float, seed: int, slab: Array | None = None) -> FillRegion:
    """Draw where a scan may change: a shape like a lesion, away from the surface of the brain.

    Args:
        source: The scan.
        volume_ml: Its volume, in ml.
        seed: Seed of place and shape, beside the name of the scan.
        slab: Where alone it may lie, (I, J, K), bool; none for anywhere.

    Raises:
        ValueError: If the scan is a single slice, or has no room for it.
    """
    scan = source.volume
    assert scan is not None
    if 1 in scan.data.shape[1:]:
        raise ValueError(
            f"{scan.name}: expected a --region for a single slice, found none; draw it into a mask"
        )
    brain = source.brain[0, 0].numpy()
    name = scan.path.name if scan.path else ""
    shape = draw_healthy_mask(brain, scan, volume_ml, seed_generator(seed, name), slab)
    return FillRegion(shape, shape, np.asarray(brain))
