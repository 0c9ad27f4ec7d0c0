"""Several sequences of one subject, brought to the grid of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from diffad.data.volume import Array, Volume
from diffad.prepare.geometry import VoxelGrid, bounding_box, centre_of_mass, map_voxels, resample
from diffad.prepare.options import PrepareOptions
from diffad.prepare.read import grid_of, name_of, same_grid
from diffad.prepare.record import Record
from diffad.prepare.register import Match, RegistrationImage, align

WORKING, STILL, BETTER = 2.0, 1.0, 1.02
"""Voxel size in mm of what the registration sees; a shift in mm and a gain too small to look up anew."""


def stack_sequences(volumes: Sequence[Volume], options: PrepareOptions, record: Record) -> Volume:
    """Stack the sequences of one subject on the grid of the reference, as channels in their order.

    Each is registered rigidly to the reference, head to head; the first guess is that the patient lay still,
    as the scanner's coordinates say. A sequence on the reference's grid stays as it is where it was found to
    lie within 1 mm, or no better elsewhere: looking it up anew would only blur it. Channels of one volume are
    taken to fit.

    Raises:
        ValueError: If there is no such reference, or a sequence does not overlap with it.
    """
    count = len(volumes) if len(volumes) > 1 else len(volumes[0].data)
    if options.reference >= count:
        raise ValueError(f"reference: expected 0 to {count - 1}, got {options.reference}")
    if len(volumes) == 1:
        return volumes[0]
    reference = volumes[options.reference]
    channels = []
    for index, volume in enumerate(volumes):
        if index == options.reference:
            channels.append(volume.data)
            continue
        with record.step("sequences", scan=name_of(volume), to=name_of(reference)) as told:
            channels.append(_moved(volume, reference, options, told, record))
    return Volume(np.concatenate(channels), reference.affine, reference.origin)


def _moved(
    volume: Volume, reference: Volume, options: PrepareOptions, told: dict[str, Any], record: Record
) -> Array:
    match = _match(volume, reference, options)
    new, old = grid_of(reference), grid_of(volume)
    matrix = map_voxels(new, old, match.matrix)
    angle = float(np.degrees(np.arccos(np.clip((np.trace(match.matrix[:3, :3]) - 1) / 2, -1, 1))))
    at = centre_of_mass(np.ones(new.shape, dtype=bool), new.affine)
    moved = match.matrix[:3, :3] @ at + match.matrix[:3, 3] - at
    told |= {"matrix": match.matrix.round(6).tolist(), "mutual_information": round(match.similarity, 4)}
    told |= {"mutual_information_before": round(match.start, 4), "rotation_degrees": round(angle, 3)}
    told |= {"shift_mm": round(float(np.linalg.norm(moved)), 3), "seed": options.seed}
    if angle > 30 or told["shift_mm"] > 60 or match.similarity < 0.1:
        record.warn(
            f"{name_of(volume)}: registered to {name_of(reference)} with a turn of {angle:.0f} degrees and a "
            f"shift of {told['shift_mm']:.0f} mm (mutual information {match.similarity:.2f}): look at it"
        )
    fits = _largest_shift(match.matrix, new) < STILL or match.similarity < BETTER * match.start
    told["looked_up"] = not (fits and same_grid([reference, volume]))
    if not told["looked_up"]:
        return volume.data
    return np.stack([resample(x, matrix, new.shape, threads=options.threads) for x in volume.data])


def _largest_shift(matrix: Array, grid: VoxelGrid) -> float:
    lower, upper = bounding_box(np.ones(grid.shape, dtype=bool), grid.affine)
    corners = np.array([[x, y, z, 1] for x, y, z in product(*zip(lower, upper, strict=True))])
    return float(np.linalg.norm((corners @ (matrix - np.eye(4)).T)[:, :3], axis=1).max())


def _match(volume: Volume, reference: Volume, options: PrepareOptions) -> Match:
    views = []
    for each in (reference, volume):
        grid = grid_of(each)
        corners = bounding_box(np.ones(grid.shape, dtype=bool), grid.affine)
        views.append(RegistrationImage.of(each.data[0], grid, corners, WORKING, options.threads))
    try:
        return align(views[0], views[1], np.eye(4), "rigid", options.seed)
    except ValueError as error:
        raise ValueError(f"{name_of(volume)}: {error} (beside {name_of(reference)})") from error
