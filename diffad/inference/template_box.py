"""Where a slice of a brain lies in MNI152, with registration or, roughly, without."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from diffad.data.place import find_places
from diffad.data.slices import Axis, axis_index, to_slices
from diffad.data.volume import Volume

TEMPLATE_BOX_MM = ((-72.0, 72.0), (-107.0, 73.0), (-72.0, 82.0))
"""Ends of the brain of MNI152 along x, y and z: the middles of the first and the last slice with brain."""
MNI_CODE = 4
"""Code of NIfTI for an affine that leads to MNI152."""
UPRIGHT = 0.999
"""Least cosine between an axis of voxels and that of the world, for its slices to have one height."""
LEAST_SHARE = 0.5
"""Least length of a whole brain, as a share of that of the template."""
AXIS_LETTERS = ("x", "y", "z")


def is_in_template_space(volume: Volume) -> bool:
    """Tell whether the header of a volume says that its world is that of MNI152."""
    if volume.origin is None:
        return False
    sform, qform = (int(volume.origin.header[key]) for key in ("sform_code", "qform_code"))
    columns = np.abs(volume.affine[:3, :3] / volume.spacing)
    return (sform or qform) == MNI_CODE and bool((columns.diagonal() > UPRIGHT).all())


def is_whole_brain(volume: Volume, brain: Tensor, axis: Axis) -> bool:
    """Tell whether a brain is long enough along an axis to be a whole one, whose box can be laid on another.

    Args:
        volume: The scan.
        brain: Its brain mask, (1, I, J, K), bool.
        axis: Plane of the slices.
    """
    index = axis_index(axis)
    low, high = TEMPLATE_BOX_MM[index]
    count = int(to_slices(brain, axis).flatten(1).any(1).sum())
    return count > 1 and count * float(volume.spacing[index]) >= LEAST_SHARE * (high - low)


def locate_slices(volume: Volume, brain: Tensor, axis: Axis) -> list[float]:
    r"""Return where the slices of a scan lie in MNI152 along their axis, in mm.

    A registered scan says so itself. Of any other, the box around the brain is laid on that of the template:

    .. math:: z_k = l + p_k (h - l)

    with the place :math:`p_k` of the slice in its box and the ends :math:`l, h` of the template's brain.

    Args:
        volume: The scan.
        brain: Its brain mask, (1, I, J, K), bool, not empty.
        axis: Plane of the slices.
    """
    index, count = axis_index(axis), len(to_slices(brain, axis))
    if is_in_template_space(volume):
        step, start = float(volume.affine[index, index]), float(volume.affine[index, 3])
        return [start + step * k for k in range(count)]
    low, high = (TEMPLATE_BOX_MM[index][0] - 0.5, TEMPLATE_BOX_MM[index][1] + 0.5)
    return [low + place.position * (high - low) for place in find_places(brain, axis, range(count))]


def format_range(range_mm: Sequence[float], axis: Axis) -> str:
    """Say in words where slices lie: "z = 19 to 27 mm of MNI152"."""
    low, high = range_mm
    return f"{AXIS_LETTERS[axis_index(axis)]} = {low:g} to {high:g} mm of MNI152"
