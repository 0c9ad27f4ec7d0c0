"""A filled scan, and what is known of how it was filled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from diffad.data.volume import Array, Volume
from diffad.fill.lesion import FillRegion


@dataclass(frozen=True, eq=False)
class FilledScan:
    """A scan whose lesion was replaced; outside the region it is the scan itself.

    Args:
        scan: The scan as it came, (1, I, J, K) in RAS.
        image: The filled scan, (I, J, K), in the intensities of the scan.
        region: What was filled.
        std: Standard deviation of several members, (I, J, K), 0 outside the region; none of a single one.
        info: How it was filled: "model", "level", "steps", "repeats", "seed", "members", "nfe", "dilate_mm",
            "feather", "rim_step", "share", "filled_ml" and "warnings".
    """

    scan: Volume
    image: Array
    region: FillRegion
    std: Array | None = None
    info: dict[str, Any] = field(default_factory=dict)


def measure_rim_step(image: Array, region: FillRegion) -> float:
    r"""Return how much brighter a fill is along its border than the brain around it.

    .. math:: s = \frac{\bar y_{in} - \bar y_{out}}{q_{99.5} - q_{.5}}

    of the voxels on either side of the border, and the percentiles of the brain outside the region.
    """
    context = region.brain & ~region.fill_mask
    inner = region.fill_mask & ndimage.binary_dilation(context)
    outer = context & ndimage.binary_dilation(region.fill_mask)
    if not inner.any() or not outer.any():
        return 0.0
    low, high = np.quantile(image[context], (0.005, 0.995))
    return float((image[inner].mean() - image[outer].mean()) / max(high - low, 1e-12))
