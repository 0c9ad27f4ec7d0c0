"""A figure for a paper: scan, twin and map in three planes through the worst place, with words as words."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffad.data.slices import axis_index, slice_spacing
from diffad.data.volume import Array, Volume
from diffad.inference.lesions import Lesion
from diffad.inference.output import AnomalyOutput
from diffad.io.atomic import write_bytes
from diffad.report.montage import stored_ct_window
from diffad.report.planes import LETTERS, SIDES, orient_plane

PLANES = ("axial", "coronal", "sagittal")
TITLES = ("scan", "pseudo-healthy twin", "anomaly map on scan")
LEFT, RIGHT, TOP, BOTTOM, GAP = 6.0, 15.0, 5.0, 1.5, 1.2
"""Margins and space between panels, in mm of paper."""
FIELD, RULER = 1.06, 50
"""Edge of what a panel shows, over the largest extent of the brain; length of the scale bar in mm."""
STYLE: Any = {
    "font.size": 7,
    "font.family": "DejaVu Sans",
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "diffad",
}


def save_figure(
    out: AnomalyOutput, path: Path, width_mm: float = 174, *, lesions: Sequence[Lesion] = ()
) -> Path:
    """Write a figure of three planes; the name says the format: .pdf, .svg or .png.

    Rows are the axial, coronal and sagittal plane through the peak of the largest lesion (without lesions,
    of the map), all at one scale and the way radiologists hang them, the patient's right on the left; columns
    are the scan, its pseudo-healthy twin, and the map above its threshold on the scan. A PDF embeds its font;
    an SVG keeps text as text. The same result gives the same bytes.

    Args:
        out: Result for a volume.
        path: File to write, whole or not at all.
        width_mm: Width of the figure: 174 mm is two columns of most journals.
        lesions: Its lesions, see ``diffad.inference.lesions.lesions``.

    Raises:
        ValueError: If the result is that of a tensor, or the name has another ending.
        OSError: If the file cannot be written.
    """
    import matplotlib as mpl

    if out.volume is None:
        raise ValueError("expected the result of a volume for a figure, got that of a tensor")
    kind = path.suffix[1:].lower()
    if kind not in ("pdf", "svg", "png"):
        raise ValueError(f"{path}: expected a name ending in .pdf, .svg or .png, found {path.name}")
    dates: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind, {})
    content = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure = _Panels(out, out.volume, width_mm, _place(out, lesions)).draw()
        figure.savefig(content, format=kind, dpi=300, metadata=dates)
    write_bytes(path, content.getvalue())
    return path


def _place(out: AnomalyOutput, lesions: Sequence[Lesion]) -> list[int]:
    """Return the voxel that all planes go through, on the axes of the map."""
    volume, anomaly = out.volume, out.anomaly_map[0, 0]
    if not lesions or volume is None:
        return [int(i) for i in np.unravel_index(int(anomaly.argmax()), anomaly.shape)]
    peak = max(lesions, key=lambda lesion: lesion.volume_ml).peak_voxel
    own = volume.origin.affine if volume.origin else volume.affine
    return [round(float(x)) for x in (np.linalg.inv(volume.affine) @ own @ [*peak, 1.0])[:3]]


@dataclass(frozen=True)
class _Panels:
    """Everything the nine panels share; see ``save_figure``."""

    out: AnomalyOutput
    volume: Volume
    width: float
    place: list[int]

    @cached_property
    def edge(self) -> float:
        """Edge of a panel, in mm of paper."""
        return (self.width - LEFT - RIGHT - 2 * GAP) / 3

    @cached_property
    def height(self) -> float:
        return TOP + 3 * self.edge + 2 * GAP + BOTTOM

    @cached_property
    def brain(self) -> Tensor:
        """Brain mask (1, I, J, K), or everything where there is none."""
        brain = self.out.brain[0].cpu().bool()
        return brain if brain.any() else torch.ones_like(brain)

    @cached_property
    def field(self) -> float:
        """Edge of what a panel shows, in mm of the patient."""
        where = self.brain[0].nonzero()
        extent = (where.max(0).values - where.min(0).values + 1).numpy() * self.volume.spacing
        return FIELD * float(extent.max())

    @cached_property
    def grey(self) -> tuple[float, float]:
        values = self.out.image[0, 0].cpu()[self.brain[0]].numpy()
        low, high = np.percentile(values, (0.5, 99.8)).tolist()
        return stored_ct_window(self.out.info) or (min(low, 0.0), max(high, low + 1e-6))

    def draw(self) -> Any:
        from matplotlib.colors import Normalize
        from matplotlib.figure import Figure

        figure = Figure(figsize=(self.width / 25.4, self.height / 25.4))
        anomaly = self.out.anomaly_map[0].cpu()
        heat = Normalize(0, max(float(anomaly.max()), 1e-6))
        scan, twin = self.out.image[0, :1].cpu(), self.out.reconstruction[0, :1].cpu()
        for row, plane in enumerate(PLANES):
            for column, image in enumerate((scan, twin, scan)):
                axes = self._panel(figure, row, column)
                self._show(axes, plane, image, "gray", Normalize(*self.grey))
                if column == 2:
                    self._show(axes, plane, anomaly, "inferno", heat, float(self.out.info["threshold"]))
                self._frame(axes, plane, letters=column == 0, ruler=row == column == 0)
            self._label(figure, row, plane)
        for column, title in enumerate(TITLES):
            middle = LEFT + column * (self.edge + GAP) + self.edge / 2
            self._write(figure, middle, TOP - 1.2, title, ha="center", va="bottom")
        self._bar(figure, heat)
        return figure

    def _show(self, axes: Any, plane: str, image: Tensor, cmap: str, norm: Any, cut: float = -np.inf) -> None:
        axis = axis_index(plane)
        shown = orient_plane(image, axis, self.place[axis]).astype(np.float32)
        (rows, columns), (down, across) = shown.shape, self._pixel(plane)
        extent = (-0.5 * across, (columns - 0.5) * across, (rows - 0.5) * down, -0.5 * down)
        faint = np.ma.masked_less_equal(shown, cut)
        axes.imshow(faint, cmap=cmap, norm=norm, extent=extent, interpolation="nearest")

    def _pixel(self, plane: str) -> tuple[float, float]:
        return slice_spacing(self.volume.spacing.tolist(), axis_index(plane))

    def _frame(self, axes: Any, plane: str, letters: bool, ruler: bool) -> None:
        axis, half = axis_index(plane), self.field / 2
        flat = orient_plane(self.brain.any(1 + axis, keepdim=True), axis, 0)
        y, x = (self._middle(np.asarray(flat.any(1 - a))) * p for a, p in enumerate(self._pixel(plane)))
        axes.set(xlim=(x - half, x + half), ylim=(y + half, y - half), xticks=[], yticks=[])
        style: Any = {"transform": axes.transAxes, "color": "white", "va": "top"}
        for at, side, letter in zip((0.02, 0.98), ("left", "right"), SIDES[axis], strict=True):
            if letters:
                axes.text(at, 0.98, letter, ha=side, **style)
        if ruler:
            left, low = x - 0.94 * half, y + 0.93 * half
            axes.plot([left, left + RULER], [low, low], color="white", lw=1.2, solid_capstyle="butt")
            axes.text(left, low - 0.03 * half, f"{RULER} mm", color="white", va="bottom")

    @staticmethod
    def _middle(line: Array) -> float:
        marked = np.flatnonzero(line)
        return float(marked[0] + marked[-1]) / 2

    def _label(self, figure: Any, row: int, plane: str) -> None:
        axis = axis_index(plane)
        world = (self.volume.affine @ [*self.place, 1.0])[axis]
        middle = TOP + row * (self.edge + GAP) + self.edge / 2
        words = f"{plane}, {LETTERS[axis]} = {world:+.0f} mm"
        self._write(figure, LEFT - 1.2, middle, words, ha="right", va="center", rotation=90)

    def _bar(self, figure: Any, heat: Any) -> None:
        from matplotlib.cm import ScalarMappable

        left, top = LEFT + 3 * self.edge + 2 * GAP + 2.0, TOP + self.edge + GAP
        axes = self._axes(figure, left, top, 2.5, self.edge)
        bar = figure.colorbar(ScalarMappable(heat, "inferno"), cax=axes)
        cut = float(self.out.info["threshold"])
        bar.set_ticks([0.0, heat.vmax], labels=["0", f"{heat.vmax:.2g}"])
        self._write(figure, left, top - 1.2, "score", va="bottom")
        if 0 < cut < heat.vmax:
            # beside the end of the bar there is room for the words
            at = min(max(cut / heat.vmax, 0.09), 0.91)
            axes.axhline(cut, color="white", lw=1.2)
            axes.text(1.5, at, f"from\n{cut:.2g}", transform=axes.transAxes, va="center")

    def _panel(self, figure: Any, row: int, column: int) -> Any:
        step = self.edge + GAP
        axes = self._axes(figure, LEFT + column * step, TOP + row * step, self.edge, self.edge)
        axes.set_facecolor("black")
        return axes

    def _axes(self, figure: Any, left: float, top: float, width: float, height: float) -> Any:
        bottom = self.height - top - height
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        return figure.add_axes(box)

    def _write(self, figure: Any, x: float, y: float, words: str, **style: Any) -> None:
        figure.text(x / self.width, 1 - y / self.height, words, **style)
