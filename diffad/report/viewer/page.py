"""The page of one scan: everything in one file, which needs no network."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from diffad.inference.lesions import Lesion
from diffad.inference.output import AnomalyOutput
from diffad.io.atomic import write_text
from diffad.report.montage import describe_origin, save_report
from diffad.report.viewer.bundle import VERSION, read_viewer
from diffad.report.viewer.detection_rates import render_detection_rates
from diffad.report.viewer.detections import render_detections
from diffad.report.viewer.healthy_plot import render_healthy_plot
from diffad.report.viewer.top import render_top
from diffad.report.viewer.volumes import Scene, make_scene

FOLDER = Path(__file__).parent
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src file: data:"
"""The browser itself keeps a page from asking for anything but pictures beside it."""
HEAD = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
HEAD += f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
CAPTIONS = {
    "scan": "Scan with anomaly map",
    "reconstruction": "Pseudo-healthy reconstruction (the scan's healthy twin)",
}
HINT = (
    "Scroll over a plane to go through its slices, click to move, drag with the right button to change the "
    "contrast. The letters in the corner of a plane are the sides of the patient on its left and at its top. "
    "Keys, after a click: arrows and Page Up and Down move by a voxel, n and b go to the next detection and "
    "back, d shows the detections, u what was not analysed, m measures."
)


def write_page(
    out: AnomalyOutput,
    path: Path,
    lesions: Sequence[Lesion],
    *,
    title: str,
    links: Mapping[str, str] | None = None,
    picture: bytes | None = None,
    preparation: bytes | None = None,
) -> Path:
    """Write the page of a scan: what to make of it, viewer, detections, sensitivity, settings.

    Args:
        out: Result for a volume.
        path: File to write, whole or not at all.
        lesions: Its detections.
        title: Name of the scan.
        links: Other pages by name, relative.
        picture: Montage as PNG, where the viewer cannot run; drawn by default.
        preparation: Picture of how the scan was made ready, as PNG; none for none.

    Raises:
        ValueError: If the result is that of a tensor.
        OSError: If the file cannot be written.
    """
    scene = make_scene(out)
    data = {
        "threshold": float(out.info["threshold"]),
        "volumes": {kind: vars(volume) for kind, volume in scene.volumes.items()},
    }
    body = [
        render_top(out, title, links or {}),
        _render_views(out, scene),
        f"<h2>Detections</h2>{render_detections(lesions, out.info, scene.file_affine)}",
        f"<h2>This scan among healthy scans</h2>{render_healthy_plot(out.info)}",
        f"<h2>What this model finds</h2>{render_detection_rates(out.info)}",
        _render_preparation(preparation),
        _render_origin(out, scene.note, picture or _draw_picture(out)),
    ]
    scripts = [
        f'<script type="application/json" id="data">{_encode_json(data)}</script>',
        f'<script type="text/plain" id="niivue">{base64.b64encode(read_viewer()).decode()}</script>',
        f"<script>{_read_file('table.js')}{_read_file('page.js')}</script>",
    ]
    write_text(path, wrap_document(title, "".join(body + scripts)))
    return path


def wrap_document(title: str, body: str) -> str:
    """Put a page together."""
    style = f"<style>{_read_file('page.css')}</style>"
    head = f"{HEAD}<title>{escape(title)}</title>{style}"
    text = f"<!doctype html><html lang=en><head>{head}</head><body>{body}</body></html>\n"
    # names of files need not be Unicode
    return text.encode("utf-8", "replace").decode()


def _read_file(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _encode_json(data: Any) -> str:
    """Write JSON that cannot end the script it stands in."""
    return json.dumps(data).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _render_views(out: AnomalyOutput, scene: Scene) -> str:
    threshold, top = float(out.info["threshold"]), scene.volumes["map"].high
    views = "".join(
        f'<figure><div class="box"><canvas id="{name}" tabindex="0"></canvas></div>'
        f"<figcaption>{caption}</figcaption></figure>"
        for name, caption in CAPTIONS.items()
    )
    start, step, unit = min(max(threshold, 0.0), top), top / 200, escape(describe_unit(out.info))
    unseen = (
        '<label><input id="unseen" type="checkbox" checked> <i class="unseen"></i> Not analysed</label>'
        if "unseen" in scene.volumes
        else ""
    )
    return (
        f'<div class="views">{views}</div><p class="hint">{HINT}</p><div class="controls">'
        f'<label>Map opacity <input id="opacity" type="range" min="0" max="1" step="0.01" value="0.7">'
        f'<output id="opacity-value"></output></label>'
        f'<label>Show map above <input id="threshold" type="range" min="0" max="{top:.6g}" step="{step:.6g}"'
        f' value="{start:.6g}"><output id="threshold-value"></output></label>'
        '<label><input id="detections" type="checkbox"> <i class="detections"></i> Detections</label>'
        f'{unseen}<label><input id="measure" type="checkbox"> Measure (drag, in mm)</label>'
        f'<span class="legend">Anomaly map 0 <i class="heat"></i> {top:.3g} ({unit})'
        '</span><label>At the crosshair <output id="where"></output></label></div>'
    )


def describe_unit(info: Mapping[str, Any]) -> str:
    """Say in which unit the map is.

    Args:
        info: What is stored of the result.
    """
    post = info.get("config", {}).get("postprocess", {})
    is_raw = any("the map is not normalised by place" in str(text) for text in info.get("warnings", []))
    if post.get("normalise") == "place" and not is_raw:
        return "standard deviations of healthy scans at the same place"
    score = info.get("score")
    name = score.get("name") if isinstance(score, Mapping) else None
    return f"score {name}, without a unit" if name else "without a unit"


def _render_preparation(picture: bytes | None) -> str:
    if picture is None:
        return ""
    source = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    note = (
        "Look whether the outlines follow the brain: where they do not, no map of this scan can be believed."
    )
    image = f'<img class="picture" alt="Brain outline and overlap with the template" src="{source}">'
    return f"<h2>How the scan was made ready</h2><p>{note}</p>{image}"


def _render_origin(out: AnomalyOutput, note: str, picture: bytes) -> str:
    source = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    image = f'<img class="picture" alt="Montage" src="{source}">'
    origin = f"<p>{escape(describe_origin(out.info))}</p>"
    info = escape(json.dumps(out.info, indent=1, ensure_ascii=False))
    return (
        f'<details id="fallback"><summary>Static picture</summary>{image}</details>'
        f"<details><summary>Model and settings</summary>{origin}<pre>{info}</pre></details>"
        f"<p><small>{escape(note)}</small></p><details><summary>Viewer: NiiVue {VERSION} (BSD-2-Clause)"
        f'</summary><pre class="licence">{escape(_read_file("NIIVUE.txt"))}</pre></details>'
    )


def _draw_picture(out: AnomalyOutput) -> bytes:
    """Draw the montage, which is written to a file, and return its content."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        save_report(out, path)
        return path.read_bytes()
