"""How a result looks in a notebook: its montage and its figures, never an error."""

from __future__ import annotations

import base64
import tempfile
from html import escape
from pathlib import Path

from diffad.inference.lesions import Lesion
from diffad.inference.output import AnomalyOutput
from diffad.registry import VIEWS
from diffad.report.montage import save_report


@VIEWS.register("png")
def render_png(out: AnomalyOutput) -> bytes | None:
    """Draw the montage of a result; none of one that cannot be drawn, as a tensor of one slice."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            return save_report(out, Path(folder) / "picture.png").read_bytes()
    except (ValueError, KeyError, IndexError):
        return None


@VIEWS.register("html")
def render_html(out: AnomalyOutput) -> str:
    """Return figures, picture and lesions of a result as HTML."""
    picture = render_png(out)
    source = base64.b64encode(picture).decode() if picture else ""
    image = (
        f'<img alt="Montage" style="max-width:100%" src="data:image/png;base64,{source}">' if picture else ""
    )
    return f"<p>{escape(_figures(out))}</p>{image}{_lesions(out)}"


def _figures(out: AnomalyOutput) -> str:
    scores = ", ".join(f"{float(score):.3g}" for score in out.score)
    threshold, rule = out.info.get("threshold"), out.info.get("threshold_rule", "fixed")
    cut = f" · threshold {threshold:.3g} ({rule})" if isinstance(threshold, float) else ""
    return f"image score {scores}{cut} · {int(out.mask.sum()):,} voxels detected"


def _lesions(out: AnomalyOutput, most: int = 10) -> str:
    if out.volume is None:
        return ""
    found = out.lesions()
    rows = "".join(_row(lesion) for lesion in found[:most])
    more = f"<p>and {len(found) - most} more</p>" if len(found) > most else ""
    head = "<tr><th>#</th><th>volume (ml)</th><th>centre (mm)</th><th>peak</th></tr>"
    return f"<table>{head}{rows}</table>{more}" if found else "<p>Nothing was detected.</p>"


def _row(lesion: Lesion) -> str:
    centre = ", ".join(f"{x:.1f}" for x in lesion.centre_mm)
    cells = (str(lesion.number), f"{lesion.volume_ml:.2f}", centre, f"{lesion.peak:.3g}")
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
