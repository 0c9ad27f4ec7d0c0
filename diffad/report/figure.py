"""A figure for a paper: scan, twin and map in three planes through the worst place, with words as words."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from diffad.data.slices import axis_index
from diffad.data.volume import Array
from diffad.output import AnomalyOutput, write_bytes
from diffad.report.montage import ct_window

PLANES = ("axial", "coronal", "sagittal")
STYLE: Any = {"font.size": 7, "pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "diffad"}


def save_figure(out: AnomalyOutput, path: Path, width_mm: float = 174) -> Path:
    """Write a figure through the peak of the anomaly map; the name says the format: .pdf, .svg or .png.

    Rows are the axial, coronal and sagittal plane, in the proportions of the scan; columns are the scan, its
    pseudo-healthy twin, and the scan under the map. The same result gives the same bytes.

    Args:
        out: Result for a volume.
        path: File to write, whole or not at all.
        width_mm: Width of the figure: 174 mm is two columns of most journals.

    Raises:
        ValueError: If the result is that of a tensor.
        OSError: If the file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    if out.volume is None:
        raise ValueError("expected the result of a volume for a figure, got that of a tensor")
    peak = np.unravel_index(int(out.anomaly_map[0, 0].argmax()), out.anomaly_map.shape[2:])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width_mm / 25.4, width_mm / 25.4 * 0.95), layout="compressed")
        _draw(figure, out, [int(p) for p in peak])
        content, kind = io.BytesIO(), path.suffix[1:]
        dates: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind, {})
        figure.savefig(content, format=kind, dpi=300, metadata=dates)
    write_bytes(path, content.getvalue())
    return path


def _draw(figure: Any, out: AnomalyOutput, peak: list[int]) -> None:
    scan, twin, anomaly = (x[0, 0].numpy() for x in (out.image, out.reconstruction, out.anomaly_map))
    brain, top = out.brain[0, 0].numpy(), max(float(anomaly.max()), 1e-6)
    inside = scan[brain] if brain.any() else scan
    low, high = ct_window(out.info) or (0.0, float(np.percentile(inside, 99.8)))
    axes, shown = figure.subplots(3, 3), None
    for row, plane in zip(axes, PLANES, strict=True):
        index, ratio = axis_index(plane), _ratio(out, plane)
        views = [_upright(x, index, peak[index]) for x in (scan, twin, scan)]
        for ax, view in zip(row, views, strict=True):
            ax.imshow(view, cmap="gray", vmin=low, vmax=high, aspect=ratio)
            ax.set_axis_off()
        over = _upright(anomaly, index, peak[index])
        cut = np.ma.masked_less(over, float(out.info["threshold"]))
        shown = row[2].imshow(cut, cmap="inferno", vmin=0, vmax=top, aspect=ratio, interpolation="nearest")
    for ax, title in zip(axes[0], ("scan", "pseudo-healthy twin", "anomaly map"), strict=True):
        ax.set_title(title)
    figure.colorbar(shown, ax=axes[:, 2], shrink=0.6, label="anomaly score above the threshold")


def _ratio(out: AnomalyOutput, plane: str) -> float:
    assert out.volume is not None
    column, row = (s for i, s in enumerate(out.volume.spacing) if i != axis_index(plane))
    return float(row / column)


def _upright(volume: Array, index: int, at: int) -> Array:
    """Cut a plane with anterior or superior at the top, the patient's left on the left."""
    return volume.take(at, axis=index).T[::-1]
