"""A result in a notebook: numbers, montage and lesions, never an error."""

from __future__ import annotations

import base64
import tempfile
from html import escape
from pathlib import Path

from diffad.inference.headline import list_headlines
from diffad.inference.lesions import Lesion
from diffad.inference.output import AnomalyOutput
from diffad.registry import VIEWS
from diffad.report.montage import save_report


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
    head = "<tr><th>#</th><th>volume (ml)</th><th>centre (mm)</th><th>peak</th></tr>"
    return f"<table>{head}{rows}</table>{rest}" if lesions else "<p>Nothing was detected.</p>"


def _render_lesion(lesion: Lesion) -> str:
    centre = ", ".join(f"{x:.1f}" for x in lesion.centre_mm)
    cells = (str(lesion.number), f"{lesion.volume_ml:.2f}", centre, f"{lesion.peak:.3g}")
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
