"""What of a volume is brain, and which part of it was looked at."""

from __future__ import annotations

from torch import Tensor, zeros_like

from diffad.data.slices import from_slices, to_slices
from diffad.data.volume import Array


def looked_at(brain: Tensor, axis: str, slices: tuple[int, int] | None) -> Tensor:
    """Return the part of a brain mask (1, 1, I, J, K) in a range of slices."""
    if slices is None or axis == "volume":
        return brain
    planes = zeros_like(cut := to_slices(brain[0], axis))
    kept = slice(max(0, slices[0]), max(0, slices[1]))
    planes[kept] = cut[kept]
    return from_slices(planes, axis)[None]


def head_warning(brain: Array, ml: float) -> str | None:
    """Say so if the non-zero voxels of a scan look like a head in air, not like a brain alone.

    A brain in a tight box fills about half of it and touches its faces in points; a head is cut by them. No
    brain is larger than 2.5 litres, and hardly a head is smaller.

    Args:
        brain: Non-zero voxels, (I, J, K), bool.
        ml: Volume of a voxel, in ml.
    """
    ends = [brain.take(i, axis) for axis in range(3) for i in (0, -1)]
    cut = sum(float(end.mean()) > 0.1 for end in ends)
    share, litres = float(brain.mean()), float(brain.sum()) * ml / 1000
    if share <= 0.6 and cut < 3 and litres <= 2.5:
        return None
    found = (
        f"{litres:.1f} litres of non-zero voxels fill {share:.0%} of the field, cut by {cut} of its 6 sides"
    )
    return f"{found}: this does not look skull-stripped, so give its brain mask with --mask"
