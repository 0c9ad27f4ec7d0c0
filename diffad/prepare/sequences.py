"""Bringing several sequences of one subject to the grid of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from diffad.data.volume import Array, Volume
from diffad.prepare.geometry import VoxelGrid, centre_of_mass, find_bounding_box, map_voxels, resample
from diffad.prepare.options import PrepareOptions
from diffad.prepare.read import get_grid, share_grid
from diffad.prepare.record import Record
from diffad.prepare.register import RegistrationImage, RegistrationResult, align

WORKING_SPACING, STILL_SHIFT, MIN_GAIN = 2.0, 1.0, 1.02
"""Voxel size of the registered images, in mm; shift (mm) and gain below which a sequence stays as it is."""


def stack_sequences(volumes: Sequence[Volume], options: PrepareOptions, record: Record) -> Volume:
    """Stack the sequences of one subject on the grid of the reference, as channels in their order.

    Each is registered rigidly to the reference, head to head; the first guess is that the patient lay still,
    as the coordinates of the scanner say. A sequence on the grid of the reference stays as it is if the
    registration moves it by less than 1 mm, or improves too little: resampling would only blur it. Channels
    of one volume are assumed to fit.

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
        with record.step("sequences", scan=volume.name, to=reference.name) as entry:
            channels.append(_move_sequence(volume, reference, options, entry, record))
    return Volume(np.concatenate(channels), reference.affine, reference.origin)


def _move_sequence(
    volume: Volume, reference: Volume, options: PrepareOptions, entry: dict[str, Any], record: Record
) -> Array:
    registration = _register(volume, reference, options)
    new, old = get_grid(reference), get_grid(volume)
    matrix = map_voxels(new, old, registration.matrix)
    angle = float(np.degrees(np.arccos(np.clip((np.trace(registration.matrix[:3, :3]) - 1) / 2, -1, 1))))
    centre = centre_of_mass(np.ones(new.shape, dtype=bool), new.affine)
    shift = registration.matrix[:3, :3] @ centre + registration.matrix[:3, 3] - centre
    similarity, start = registration.similarity, registration.start_similarity
    entry |= {"matrix": registration.matrix.round(6).tolist(), "mutual_information": round(similarity, 4)}
    entry |= {"mutual_information_before": round(start, 4), "rotation_degrees": round(angle, 3)}
    entry |= {"shift_mm": round(float(np.linalg.norm(shift)), 3), "seed": options.seed}
    if angle > 30 or entry["shift_mm"] > 60 or similarity < 0.1:
        record.warn(
            f"{volume.name}: expected sequences of one session, found a rotation of {angle:.0f} degrees and "
            f"a shift of {entry['shift_mm']:.0f} mm to {reference.name} (mutual information {similarity:.2f}"
            "); look at the prepared volume"
        )
    fits = _measure_shift(registration.matrix, new) < STILL_SHIFT or similarity < MIN_GAIN * start
    entry["looked_up"] = not (fits and share_grid([reference, volume]))
    if not entry["looked_up"]:
        return volume.data
    return np.stack([resample(x, matrix, new.shape, threads=options.threads) for x in volume.data])


def _measure_shift(matrix: Array, grid: VoxelGrid) -> float:
    lower, upper = find_bounding_box(np.ones(grid.shape, dtype=bool), grid.affine)
    corners = np.array([[x, y, z, 1] for x, y, z in product(*zip(lower, upper, strict=True))])
    return float(np.linalg.norm((corners @ (matrix - np.eye(4)).T)[:, :3], axis=1).max())


def _register(volume: Volume, reference: Volume, options: PrepareOptions) -> RegistrationResult:
    fixed_image, moving_image = (_sample_head(scan, options.threads) for scan in (reference, volume))
    try:
        return align(fixed_image, moving_image, np.eye(4), "rigid", options.seed)
    except ValueError as error:
        raise ValueError(f"{volume.name}: {error}; the reference is {reference.name}") from error


def _sample_head(volume: Volume, threads: int) -> RegistrationImage:
    grid = get_grid(volume)
    corners = find_bounding_box(np.ones(grid.shape, dtype=bool), grid.affine)
    return RegistrationImage.sample(volume.data[0], grid, corners, WORKING_SPACING, threads)
