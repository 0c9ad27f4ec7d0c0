"""A contact sheet of phantoms: a row for each of a few subjects, three planes for each modality."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from diffad.data.phantom.contrast import CONTRASTS
from diffad.data.phantom.plan import PhantomOptions, Plan
from diffad.data.phantom.write import lesion_path, list_finished_subjects, scan_path
from diffad.data.volume import Array, Volume
from diffad.io.atomic import write_bytes
from diffad.report.planes import orient_plane

ROWS, HEALTHY = 5, 2
"""Subjects in the picture, and how many of them are healthy if there are enough with lesions."""

TILE, LABEL, HEAD = 0.78, 0.24, 0.3
"""Edge of a plane, and room for text at the left and at the top, in inches."""

MIDDLE = (0.53, 0.5, 0.48)
"""Where healthy brains are cut, as fractions of the grid: through the ventricles, and beside the midline."""

HU = (0.0, 80.0)
"""Hounsfield units that are black and white: the brain window, centre 40, width 80."""

BRIGHT = 1.15
"""What is white in MR, as a multiple of the 99th percentile of the brain."""

INK, PAPER, OUTLINE = "white", "black", "#ff5a36"


class _Plane(NamedTuple):
    image: Array
    lesion: Array


def draw_phantoms(out: Path, options: PhantomOptions, path: Path) -> Path:
    """Draw subjects of a data set of phantoms, with the outlines of their lesions; R is at the left.

    Args:
        out: Folder of the data set.
        options: Its options.
        path: PNG to write, whole or not at all.

    Raises:
        ValueError: If there are no subjects.
        OSError: If a file cannot be read or written.
    """
    subjects = _choose_subjects(list_finished_subjects(out, options))
    if not subjects:
        raise ValueError(f"{out}: expected phantoms, found none")
    columns = 3 * len(options.modalities)
    across, down = LABEL + columns * TILE, HEAD + len(subjects) * TILE
    figure = Figure((across, down), dpi=120, facecolor=PAPER)
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(subjects), columns, squeeze=False)
    figure.subplots_adjust(LABEL / across, 0, 1, 1 - HEAD / down, 0.02, 0.02)
    for row, subject in zip(grid, subjects, strict=True):
        _draw_row(row, out, subject, options)
        box = row[0].get_position()
        style: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "center"}
        label = (subject.kind or "healthy").replace("_", " ")
        _place_text(figure, LABEL / 2 / across, (box.y0 + box.y1) / 2, label, **style)
    for axes, modality in zip(grid[0][1::3], options.modalities, strict=True):
        box = axes.get_position()
        middle = (box.x0 + box.x1) / 2
        _place_text(figure, middle, 1 - HEAD / 2 / down, modality.upper(), ha="center", va="center")
    content = io.BytesIO()
    figure.savefig(content, format="png")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content.getvalue())
    return path


def _choose_subjects(subjects: Sequence[Plan]) -> list[Plan]:
    sick = [p for p in subjects if p.kind]
    healthy = [p for p in subjects if not p.kind]
    room = max(HEALTHY, ROWS - len(sick))
    return [*healthy[:room], *sick[: ROWS - len(healthy[:room])]]


def _draw_row(row: Sequence[Axes], out: Path, subject: Plan, options: PhantomOptions) -> None:
    lesion = None
    if subject.kind:
        lesion = Volume.load(lesion_path(out, subject), allow_constant=True).data[0]
    for m, modality in enumerate(options.modalities):
        scan = Volume.load(scan_path(out, subject, modality)).data[0]
        low, high = HU if CONTRASTS[modality].ct else (0, BRIGHT * np.percentile(scan[scan > 0], 99))
        for axes, plane in zip(row[3 * m :], _cut_planes(scan, lesion), strict=False):
            axes.imshow(plane.image, cmap="gray", vmin=low, vmax=high, interpolation="bilinear")
            if plane.lesion.any():
                axes.contour(plane.lesion, levels=[0.5], colors=OUTLINE, linewidths=0.6)
            axes.set_axis_off()


def _cut_planes(scan: Array, lesion: Array | None) -> list[_Plane]:
    """Cut axial, coronal and sagittal planes where most of the lesion is, or through the middle."""
    mask = np.zeros_like(scan) if lesion is None else lesion
    planes = []
    for axis, middle in ((2, MIDDLE[2]), (1, MIDDLE[1]), (0, MIDDLE[0])):
        area = mask.sum(tuple(a for a in range(3) if a != axis))
        index = int(area.argmax()) if area.any() else round(middle * scan.shape[axis])
        planes.append(_Plane(_cut_square(scan, axis, index), _cut_square(mask, axis, index)))
    return planes


def _cut_square(volume: Array, axis: int, index: int) -> Array:
    """Cut a plane as radiologists hang it, and pad it to a square."""
    plane = orient_plane(torch.from_numpy(volume)[None], axis, index)
    edge = max(volume.shape)
    rims = [((edge - n) // 2, edge - n - (edge - n) // 2) for n in plane.shape]
    return np.pad(plane, rims, constant_values=volume.min())


def _place_text(figure: Figure, x: float, y: float, text: str, **style: Any) -> None:
    figure.text(x, y, text, color=INK, fontsize=7.5, parse_math=False, **style)
