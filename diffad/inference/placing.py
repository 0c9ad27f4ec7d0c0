"""The way of a scan that is looked at as it is to the template, for the names of places."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from diffad.data.atlas.brain_shape import fit_brain_shape, list_brain_points, measure_overlap
from diffad.data.atlas.place_atlas import load_place_atlas
from diffad.data.atlas.template_map import REGISTERED, TemplateMap
from diffad.data.volume import Array, Volume

MNI152_CODE = 4
"""Code of NIfTI for coordinates in the space of the MNI152 template."""
LEAST_COVER, LARGEST_SHIFT_MM = 0.9, 6.5
"""Least cover by the atlas, and largest mean distance from where its shape puts it, of a brain there."""


def describe_template_map(brain: Tensor, volume: Volume | None) -> dict[str, Any]:
    """Return what the record of a result says of the way to the template: the way, or why there is none.

    Args:
        brain: Brain mask, (1, 1, I, J, K), bool.
        volume: The volume that it lies on, or none for a tensor, which lies nowhere.
    """
    if volume is None:
        return {}
    mask = brain[0, 0].numpy()
    try:
        way, reason = fit_brain_shape(mask, volume.affine), ""
    except ValueError as error:
        way, reason = None, str(error)
    if is_stated_in_template(volume) and lies_in_template(mask, volume.affine, way):
        way = TemplateMap(np.eye(4), REGISTERED)
    return way.to_info() if way else {"to_template": {"source": "none", "reason": reason}}


def is_stated_in_template(volume: Volume) -> bool:
    """Tell whether the header says that a volume lies in the space of the MNI152 template."""
    if volume.origin is None:
        return False
    codes = [int(volume.origin.header[name]) for name in ("sform_code", "qform_code")]
    return next((code for code in codes if code), 0) == MNI152_CODE


def lies_in_template(brain: Array, affine: Array, way: TemplateMap | None) -> bool:
    """Tell whether a brain (I, J, K) lies where that of the template does, as a header may be wrong.

    Args:
        brain: Its mask, bool.
        affine: Voxel to world matrix, (4, 4).
        way: The way to the template by its shape; none of what is no whole brain.
    """
    points = list_brain_points(brain, affine)
    if len(points) == 0 or (load_place_atlas().look_up(points) > 0).mean() < LEAST_COVER:
        return False
    return way is None or np.linalg.norm(way.move(points) - points, axis=1).mean() <= LARGEST_SHIFT_MM


def measure_template_overlap(brain: Array, volume: Volume) -> float | None:
    """Return the Dice overlap with the brain of the template; none of a scan that is not said to lie there.

    Args:
        brain: Brain mask, (I, J, K), bool.
        volume: The volume that it lies on.
    """
    if not is_stated_in_template(volume) or not brain.any():
        return None
    return measure_overlap(brain, volume.affine)
