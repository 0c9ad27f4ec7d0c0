"""The page of one scan: everything in one file, which needs no network."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from diffad.inference.lesions import Lesion, describe_place
from diffad.inference.output import AnomalyOutput
from diffad.io.atomic import write_text
from diffad.report.montage import NOTICE, describe_origin, describe_result, save_report
from diffad.report.places import explain_places
from diffad.report.viewer.bundle import VERSION, read_viewer
from diffad.report.viewer.volumes import make_scene

FOLDER = Path(__file__).parent
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src file: data:"
"""The browser itself keeps a page from asking for anything but pictures beside it."""
HEAD = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
HEAD += f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
CAPTIONS = {
    "scan": "Scan with anomaly map",
    "reconstruction": "Pseudo-healthy reconstruction (the scan's healthy twin)",
}
COLUMNS = ("#", "place", "volume (ml)", "centre (mm)", "centre (voxel)", "extent (mm)", "mean", "peak", "p")


def write_page(
    out: AnomalyOutput,
    path: Path,
    lesions: Sequence[Lesion],
    *,
    title: str,
    links: Mapping[str, str] | None = None,
    picture: bytes | None = None,
) -> Path:
    """Write the page of a scan: viewer, sliders, reconstruction beside it, lesions, model and settings.

    Args:
        out: Result for a volume.
        path: File to write, whole or not at all.
        lesions: Its lesions.
        title: Name of the scan.
        links: Other pages by name, relative.
        picture: Montage as PNG, where the viewer cannot run; drawn by default.

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
        _render_top(out, title, links or {}),
        _render_views(float(out.info["threshold"]), scene.volumes["map"].high),
        f"<h2>Detected lesions</h2>{_render_lesions(lesions, explain_places(out.info))}",
        _render_origin(out, scene.note, picture or _draw_picture(out)),
    ]
    scripts = [
        f'<script type="application/json" id="data">{_encode_json(data)}</script>',
        f'<script type="text/plain" id="niivue">{base64.b64encode(read_viewer()).decode()}</script>',
        f"<script>{_read_file('page.js')}</script>",
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


def _render_top(out: AnomalyOutput, title: str, links: Mapping[str, str]) -> str:
    navigation = " · ".join(
        f'<a href="{quote(to, errors="surrogateescape")}">{escape(name)}</a>' for name, to in links.items()
    )
    warnings = "".join(f"<li>{escape(w)}</li>" for w in out.info.get("warnings", []))
    notes = f'<div class="notice warning">Please note:<ul>{warnings}</ul></div>' if warnings else ""
    return (
        f"<nav>{navigation}</nav><h1>{escape(title)}</h1>{notes}<p>{escape(describe_result(out))}</p>"
        f'<p class="notice">{escape(NOTICE)}</p>'
        '<noscript><p class="notice">The viewer needs JavaScript; '
        "the static picture below does not.</p></noscript>"
        '<p id="trouble"></p>'
    )


def _render_views(threshold: float, top: float) -> str:
    views = "".join(
        f'<figure><div class="box"><canvas id="{name}"></canvas></div>'
        f"<figcaption>{caption}</figcaption></figure>"
        for name, caption in CAPTIONS.items()
    )
    start, step = min(max(threshold, 0.0), top), top / 200
    return (
        f'<div class="views">{views}</div><div class="controls">'
        f'<label>Map opacity <input id="opacity" type="range" min="0" max="1" step="0.01" value="0.7">'
        f'<output id="opacity-value"></output></label>'
        f'<label>Show map above <input id="threshold" type="range" min="0" max="{top:.6g}" step="{step:.6g}"'
        f' value="{start:.6g}"><output id="threshold-value"></output></label>'
        '<label><input id="detections" type="checkbox"> <i class="detections"></i> Detections</label>'
        f'<span class="legend">Anomaly map 0 <i class="heat"></i> {top:.3g}</span>'
        '<label>At the crosshair <output id="where"></output></label></div>'
    )


def _render_lesions(lesions: Sequence[Lesion], place_note: str) -> str:
    if not lesions:
        return "<p>Nothing was detected at this threshold.</p>"
    head = "".join(f"<th>{escape(c)}</th>" for c in COLUMNS)
    rows = "".join(_render_lesion(lesion) for lesion in lesions)
    note = (
        "Click a row to move the crosshair there. p: smallest voxel-wise p-value of the lesion, not "
        "corrected for the number of voxels."
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="wide">{table}</div><p><small>{note} {escape(place_note)}</small></p>'


def _render_lesion(lesion: Lesion) -> str:
    x, y, z = lesion.centre_mm
    cells = [
        str(lesion.number),
        escape(describe_place(lesion)),
        f"{lesion.volume_ml:.2f}" if lesion.volume_ml >= 0.01 else f"{lesion.volume_ml:.1g}",
        *(
            ", ".join(f"{v:.1f}" for v in t)
            for t in (lesion.centre_mm, lesion.centre_voxel, lesion.extent_mm)
        ),
        f"{lesion.mean:.3g}",
        f"{lesion.peak:.3g}",
        "" if lesion.p_value is None else f"{lesion.p_value:.2g}",
    ]
    content = "".join(
        f"<td{' class=place' if index == 1 else ''}>{cell}</td>" for index, cell in enumerate(cells)
    )
    return f'<tr tabindex="0" data-x="{x}" data-y="{y}" data-z="{z}">{content}</tr>'


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
