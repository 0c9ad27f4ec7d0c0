"""A result in a notebook: numbers, montage and lesions, figure and viewer."""

from __future__ import annotations

import base64
import importlib.util
import io
import tempfile
from html import escape
from pathlib import Path
from typing import Any

from diffad.inference.headline import list_headlines
from diffad.inference.lesions import Lesion, describe_place
from diffad.inference.output import AnomalyOutput
from diffad.registry import VIEWS
from diffad.report.montage import save_report

DPI = 100
"""Pixels of a figure an inch."""


@VIEWS.register("png")
def render_png(out: AnomalyOutput) -> bytes | None:
    """Draw the montage of a result; none if it cannot be drawn, such as a tensor of one slice."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            return save_report(out, Path(folder) / "picture.png").read_bytes()
    except (ValueError, KeyError, IndexError):
        return None


@VIEWS.register("html")
def render_html(out: AnomalyOutput) -> str:
    """Return numbers, montage and lesions of a result as HTML."""
    picture = render_png(out)
    source = base64.b64encode(picture).decode() if picture else ""
    image = (
        f'<img alt="Montage" style="max-width:100%" src="data:image/png;base64,{source}">' if picture else ""
    )
    facts = "".join(f"<li><b>{escape(k)}</b>: {escape(v)}</li>" for k, v in list_headlines(out.info))
    head = f"<ul>{facts}</ul>" if facts else ""
    return f"{head}<p>{escape(_describe_numbers(out))}</p>{image}{_render_lesions(out)}"


@VIEWS.register("figure")
def draw_figure(out: AnomalyOutput) -> Any:
    """Draw the montage of a result as a matplotlib figure.

    Raises:
        ValueError: If it cannot be drawn.
    """
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    if (picture := render_png(out)) is None:
        raise ValueError("expected a result with a threshold that can be drawn, got one of other fields")
    pixels = imread(io.BytesIO(picture), format="png")
    figure = Figure(figsize=(pixels.shape[1] / DPI, pixels.shape[0] / DPI), dpi=DPI)
    _fill(figure, pixels)
    # notebooks ask objects for this, whether or not they know of matplotlib
    figure._repr_png_ = lambda: picture  # type: ignore[attr-defined]
    return figure


def _fill(figure: Any, pixels: Any) -> None:
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(pixels, aspect="auto")
    axes.set_axis_off()


@VIEWS.register("viewer")
def show_result(out: AnomalyOutput) -> Any:
    """Return a viewer of a volume where ipyniivue is installed, else a figure, in a window if there are any.

    Raises:
        ValueError: If it cannot be drawn.
    """
    if out.volume is not None and importlib.util.find_spec("ipyniivue"):
        return _make_viewer(out)
    figure = draw_figure(out)
    if _opens_windows():
        from matplotlib import pyplot

        window = pyplot.figure(figsize=figure.get_size_inches(), dpi=figure.dpi)
        _fill(window, figure.axes[0].images[0].get_array())
        pyplot.show()
    return figure


def _opens_windows() -> bool:
    """Tell whether matplotlib draws in windows; notebooks draw what a cell returns."""
    import matplotlib as mpl

    return any(word in mpl.get_backend().lower() for word in ("qt", "tk", "gtk", "wx", "macosx"))


def _make_viewer(out: AnomalyOutput, height: int = 420) -> Any:
    from ipyniivue import NiiVue

    assert out.volume is not None
    anomaly = out.to_nifti()["anomaly"]
    highest, cut = float(out.anomaly_map.max()), float(out.info.get("threshold", 0.0))
    heat = {"colormap": "inferno", "cal_min": cut, "cal_max": max(highest, cut + 1e-9), "opacity": 0.7}
    viewer = NiiVue(height=height)
    viewer.load_volumes(
        [
            {
                "data": out.volume.to_nifti(out.volume.data[0]).to_bytes(),
                "name": "scan.nii",
                "colormap": "gray",
            },
            {"data": anomaly.to_bytes(), "name": "anomaly.nii", **heat},
        ]
    )
    return viewer


def _describe_numbers(out: AnomalyOutput) -> str:
    scores = ", ".join(f"{float(score):.3g}" for score in out.score)
    threshold, rule = out.info.get("threshold"), out.info.get("threshold_rule", "fixed")
    threshold_text = f" · threshold {threshold:.3g} ({rule})" if isinstance(threshold, float) else ""
    return f"Image score {scores}{threshold_text} · {int(out.mask.sum()):,} voxels detected"


def _render_lesions(out: AnomalyOutput, limit: int = 10) -> str:
    if out.volume is None:
        return ""
    lesions = out.lesions()
    rows = "".join(_render_lesion(lesion) for lesion in lesions[:limit])
    rest = f"<p>and {len(lesions) - limit} more</p>" if len(lesions) > limit else ""
    head = "<tr><th>#</th><th>place</th><th>volume (ml)</th><th>centre (mm)</th><th>peak</th></tr>"
    return f"<table>{head}{rows}</table>{rest}" if lesions else "<p>Nothing was detected.</p>"


def _render_lesion(lesion: Lesion) -> str:
    centre = ", ".join(f"{x:.1f}" for x in lesion.centre_mm)
    place = escape(describe_place(lesion))
    cells = (str(lesion.number), place, f"{lesion.volume_ml:.2f}", centre, f"{lesion.peak:.3g}")
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
