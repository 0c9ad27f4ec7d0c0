"""A figure for a paper: scan, reconstruction and map in three planes through the worst place."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffad.inference.lesions import Lesion
from diffad.inference.output import AnomalyOutput
from diffad.io.atomic import write_bytes
from diffad.report.panels import FigurePanels

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
    are the scan, its pseudo-healthy reconstruction, and the map above its threshold on the scan. A PDF embeds
    its font; an SVG keeps text as text. The same result gives the same bytes.

    Args:
        out: Result for a volume.
        path: File to write, whole or not at all.
        width_mm: Width of the figure: 174 mm is two columns of most journals.
        lesions: Its lesions, see ``diffad.inference.lesions.find_lesions``.

    Raises:
        ValueError: If the result is that of a tensor, or the name has another ending.
        OSError: If the file cannot be written.
    """
    import matplotlib as mpl

    if out.volume is None:
        raise ValueError("expected the result of a volume for a figure, got that of a tensor")
    suffix = path.suffix[1:].lower()
    if suffix not in ("pdf", "svg", "png"):
        raise ValueError(f"{path}: expected a name ending in .pdf, .svg or .png, found {path.name}")
    dates: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(suffix, {})
    content = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure = FigurePanels(out, out.volume, width_mm, choose_place(out, lesions)).draw()
        figure.savefig(content, format=suffix, dpi=300, metadata=dates)
    write_bytes(path, content.getvalue())
    return path


def choose_place(out: AnomalyOutput, lesions: Sequence[Lesion] = ()) -> list[int]:
    """Return the voxel that all planes go through, on the axes of the map.

    Args:
        out: Result for a volume.
        lesions: Its lesions; the peak of the largest is taken, without any that of the map.
    """
    volume, anomaly = out.volume, out.anomaly_map[0, 0]
    if not lesions or volume is None:
        return [int(i) for i in np.unravel_index(int(anomaly.argmax()), anomaly.shape)]
    peak = max(lesions, key=lambda lesion: lesion.volume_ml).peak_voxel
    file_affine = volume.origin.affine if volume.origin else volume.affine
    return [round(float(x)) for x in (np.linalg.inv(volume.affine) @ file_affine @ [*peak, 1.0])[:3]]
