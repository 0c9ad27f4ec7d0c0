"""Telling a head in air from a brain alone."""

from __future__ import annotations

from diffad.data.volume import Array


def head_warning(brain: Array, ml: float) -> str | None:
    """Say so if what counts as brain looks like a head in air, not like a brain alone.

    A brain in a tight box fills about half of it and touches its faces in points; a head is cut by them. No
    brain is larger than 2.5 litres, and hardly a head is smaller.

    Args:
        brain: Given brain mask or non-zero voxels, (I, J, K), bool.
        ml: Volume of a voxel, in ml.
    """
    if 1 in brain.shape:
        return _judge_slice(brain)
    ends = [brain.take(i, axis) for axis in range(3) for i in (0, -1)]
    cut_sides = sum(float(end.mean()) > 0.1 for end in ends)
    fraction, litres = float(brain.mean()), float(brain.sum()) * ml / 1000
    if fraction <= 0.6 and cut_sides < 3 and litres <= 2.5:
        return None
    extent = f"{litres:.1f} litres that count as brain fill {fraction:.0%} of the field"
    sides = f"cut by {cut_sides} of its 6 sides"
    advice = "give its brain mask with --mask, or let --prepare find the brain"
    return f"{extent}, {sides}: this does not look skull-stripped, so {advice}"


def _judge_slice(brain: Array) -> str | None:
    """Judge a single slice, of which a brain in a tight box fills up to four fifths."""
    plane = brain.squeeze()
    if plane.ndim != 2:
        return None
    ends = [plane.take(i, axis) for axis in (0, 1) for i in (0, -1)]
    cut_sides, fraction = sum(float(end.mean()) > 0.5 for end in ends), float(plane.mean())
    if fraction <= 0.85 and cut_sides < 3:
        return None
    text = f"what counts as brain fills {fraction:.0%} of the slice and is cut by {cut_sides} of its 4 sides"
    return f"{text}: this does not look skull-stripped, so give its brain mask with --mask"
