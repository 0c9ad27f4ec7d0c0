"""The way of a scan that is looked at as it is to the template, for the names of places."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from diffad.data.atlas.brain_shape import fit_brain_shape
from diffad.data.volume import Volume


def describe_template_map(brain: Tensor, volume: Volume | None) -> dict[str, Any]:
    """Return what the record of a result says of the way to the template: the way, or why there is none.

    Args:
        brain: Brain mask, (1, 1, I, J, K), bool.
        volume: The volume that it lies on, or none for a tensor, which lies nowhere.
    """
    if volume is None:
        return {}
    try:
        return fit_brain_shape(brain[0, 0].numpy(), volume.affine).to_info()
    except ValueError as error:
        return {"to_template": {"source": "none", "reason": str(error)}}
