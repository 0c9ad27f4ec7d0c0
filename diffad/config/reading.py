"""How files of volumes are read where they leave a choice."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from diffad.config.choices import Geometry, require, require_choice

MAX_VOXELS = 2**30
"""Most voxels of a file over all channels, 4 GB in float32: ten times the finest scan of a living head."""


@dataclass(frozen=True)
class ReadOptions:
    """How a volume is read.

    Args:
        trust: Which orientation of a NIfTI file is taken where it has two, a ``Geometry``; none takes the
            sform, as most tools do.
        max_voxels: Most voxels of a file, over all channels; a larger one is refused from its header.
        mask_threshold: What of a brain mask lies above it is brain; none takes 0, or .5 of probabilities.

    Raises:
        ValueError: If a value cannot be used.
    """

    trust: str | None = None
    max_voxels: int = MAX_VOXELS
    mask_threshold: float | None = None

    def __post_init__(self) -> None:
        if self.trust is not None:
            require_choice("trust", self.trust, Geometry)
        require(self.max_voxels >= 1, "max_voxels", "at least 1 voxel", self.max_voxels)
        usable = self.mask_threshold is None or math.isfinite(self.mask_threshold)
        require(usable, "mask_threshold", "a finite number", self.mask_threshold)


def recall_options(info: Mapping[str, Any]) -> ReadOptions:
    """Return how a scan was read when its maps were made; what was not too large then is not now.

    Args:
        info: What is stored with the maps.
    """
    request = info.get("request")
    trust = request.get("trust") if isinstance(request, Mapping) else None
    return ReadOptions(trust if trust in get_args(Geometry) else None, sys.maxsize)
