"""What a label map must be: labels that are known, voxels that are thin, and a whole brain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from diffad.config.choices import AXES
from diffad.data.items import DataError
from diffad.data.synthesis.tissues import TISSUES, Table, choose_table
from diffad.data.volume import Array

IMAGE_LABELS = 40
"""From this number of unknown labels on, a file is an image and no label map."""

THICKEST = 3.0
"""Largest voxel that a slice shows, in mm."""

MOST_UNEVEN = 2.0
"""Largest ratio of voxel sizes without a warning."""

BRAIN_ML = (700.0, 2200.0)
"""Volume of a whole brain with ventricles, from and to, in ml; beyond it the map shows a part or a child."""

MOST_CUT = 0.05
"""Area of a brain in a face of the map, as a fraction of its largest plane, without a warning."""

SCAN_HINT = "it looks like a scan, which the data set volumes takes; name the label maps with data.pattern"
"""What is said of a file that is none."""

VITAL_TISSUES = ("cortex", "white")
"""Tissues without which there is no brain."""


def match_labels(labels: Array, table: Table | None, path: Path) -> tuple[Array, Table]:
    """Return the labels of a map, ascending, and the table that knows them.

    Raises:
        DataError: If values are no whole numbers, or labels are not in the table.
    """
    values = np.unique(labels)
    if not (np.equal(values, np.rint(values)).all() and values[0] >= 0 and values[-1] < 2**16):
        raise DataError(
            f"{path}: expected a label map of whole numbers from 0 on, found {len(values)} values from "
            f"{values[0]:.4g} to {values[-1]:.4g}; {SCAN_HINT}"
        )
    values = values.astype(np.int64)
    name, table, unknown_labels = (
        choose_table(values.tolist())
        if table is None
        else ("given", table, [v for v in values.tolist() if v not in table])
    )
    if len(unknown_labels) >= IMAGE_LABELS:
        raise DataError(
            f"{path}: expected a label map, found {len(values)} different values, {len(unknown_labels)} of "
            f"them no known labels; {SCAN_HINT}"
        )
    if unknown_labels:
        raise DataError(
            f"{path}: expected labels of the {name} table, found {', '.join(map(str, unknown_labels))} too; "
            "name their tissues in a CSV with the columns label and tissue, and give it as data.table"
        )
    return values, table


def check_voxels(spacing: Sequence[float], in_plane: Sequence[int], path: Path) -> list[str]:
    """List what is odd about the voxels of a label map.

    Raises:
        DataError: If a slice would show voxels that are too thick to look like a scan.
    """
    text = " x ".join(f"{s:.3g}" for s in spacing)
    if max(spacing[axis] for axis in in_plane) > THICKEST:
        planes = [AXES[a] for a in range(3) if max(spacing[b] for b in range(3) if b != a) <= THICKEST]
        hint = f"take slices with space.axis={planes[0]}" if planes else "take a finer map"
        raise DataError(
            f"{path}: expected voxels of at most {THICKEST:g} mm in the plane of a slice, "
            f"found {text} mm; {hint}"
        )
    if max(spacing) > MOST_UNEVEN * min(spacing):
        return [f"its voxels are uneven, {text} mm: thick slices are painted as they are"]
    return []


def check_anatomy(tissues: Array, spacing: Sequence[float], path: Path) -> list[str]:
    """List what is odd about the brain that a label map shows.

    Raises:
        DataError: If it lacks grey or white matter.
    """
    gaps = [name for name in VITAL_TISSUES if not (tissues == TISSUES.index(name)).any()]
    if gaps:
        names = ", ".join(TISSUES[t] for t in np.unique(tissues)) or "nothing"
        raise DataError(
            f"{path}: expected labels of a whole brain, with grey and white matter, found {names} only; "
            "give segmentations of whole brains"
        )
    warnings = []
    brain = tissues > TISSUES.index("csf")
    volume = float(brain.sum() * np.prod(spacing)) / 1000
    if not BRAIN_ML[0] <= volume <= BRAIN_ML[1]:
        low, high = BRAIN_ML
        warnings.append(f"its brain has {volume:.0f} ml, and adults have {low:.0f} to {high:.0f}")
    return [*warnings, *_describe_cuts(brain)]


def _describe_cuts(brain: Array) -> list[str]:
    """Say so if a face of the map cuts the brain; the brain stem may leave at the bottom."""
    names = (("left", "right"), ("back", "front"), ("bottom", "top"))
    largest = max(brain.sum(tuple({0, 1, 2} - {axis})).max() for axis in range(3))
    cuts = [
        names[axis][end]
        for axis in range(3)
        for end in range(2)
        if brain.take(-end, axis).sum() > MOST_CUT * largest
    ]
    return [f"its brain is cut at the {' and '.join(cuts)}: the rest is not painted"] if cuts else []
