"""Pictures of a result: one a scan, and one of chosen rows."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffad.inference.output import AnomalyOutput
from diffad.io.atomic import write_bytes
from diffad.report.planes import PictureRow, Planes
from diffad.report.sheet import Sheet, SheetText

SLICES, ITEMS = 5, 6
"""Most slices of a volume, and items of a batch, that a report shows."""

NOTICE = "Research use only. Not a medical device."


def save_report(out: AnomalyOutput, path: str | Path, lesion: Any = None) -> Path:
    """Draw a result: of a volume the most anomalous slices that are apart, of a tensor the first items.

    Rows show scan, true lesion where known, twin, map with its threshold, and detections on the scan.
    Of several sequences the first is shown. The same result gives the same file.

    Args:
        out: What the pipeline returned.
        path: PNG to write, whole or not at all.
        lesion: True lesion on the axes of the map: (I, J, K), (B, *S) or (B, 1, *S), or a NIfTI path.

    Returns:
        The path.

    Raises:
        ValueError: If the lesion has another shape than the map.
        OSError: If the file cannot be written.
    """
    planes = Planes.of(out, lesion)
    chosen = planes.choose(ITEMS if planes.axis is None else SLICES, out.info["threshold"])
    rows = [planes.row(k) for k in chosen]
    title = out.name
    if not out.volume:
        title = f"{len(rows)} of {len(out.score)} items"
    return save_montage(rows, path, out.info, title, describe_findings(out), planes)


def save_montage(
    rows: Sequence[PictureRow],
    path: str | Path,
    info: Mapping[str, Any],
    title: str,
    subtitle: str = "",
    planes: Planes | None = None,
) -> Path:
    """Draw rows of scan, true lesion, twin, map and detections.

    Args:
        rows: Lines of one shape, top to bottom.
        path: PNG to write, whole or not at all.
        info: What made them, see ``AnomalyOutput``; its threshold is marked in the colour bar.
        title: First line.
        subtitle: Second line.
        planes: Where the rows come from, for pixel size and sides.

    Returns:
        The path.

    Raises:
        ValueError: If there are no rows, or rows of different shapes.
        OSError: If the file cannot be written.
    """
    shapes = sorted({r.scan.shape for r in rows})
    if len(shapes) != 1:
        raise ValueError(f"expected rows of one shape, got {shapes or 'no rows'}")
    sheet = Sheet(
        rows,
        float(info["threshold"]),
        spacing=planes.spacing if planes else None,
        sides=planes.sides if planes else None,
        window=stored_ct_window(info),
    )
    content = io.BytesIO()
    sheet.draw(SheetText(title, subtitle, f"{describe_origin(info)}\n{NOTICE}")).savefig(
        content, format="png"
    )
    return _write(content.getvalue(), Path(path))


def describe_findings(out: AnomalyOutput) -> str:
    """Return image score, threshold and its rule, and how much was detected, in words."""
    cut = f"threshold {out.info['threshold']:.3g} ({out.info.get('threshold_rule', 'fixed')})"
    if out.volume is None:
        return f"{cut} · {int(out.mask.sum()):,} pixels detected"
    voxels, size = int(out.mask.sum()), float(out.volume.spacing.prod())
    detected = f"detected {voxels:,} voxels = {voxels * size / 1000:.1f} ml"
    return f"image score {float(out.score[0]):.3g} · {cut} · {detected}"


def describe_origin(info: Mapping[str, Any]) -> str:
    """Return model, sampler, seed and versions in words."""
    sampler = dict(info.get("sampler") or {"name": "unknown"})
    options = ", ".join(f"{k}={_short(v)}" for k, v in sampler.items() if k != "name")
    words = [
        f"model {(info.get('model') or {}).get('name', 'unnamed')}",
        f"sampler {sampler['name']}({options})",
        f"{info['nfe']} network evaluations a slice" if "nfe" in info else "",
        f"{info['slices']} slices" if "slices" in info else "",
        f"seed {info['seed']}" if "seed" in info else "",
        ", ".join(f"{k} {v}" for k, v in info.get("versions", {}).items()),
    ]
    return " · ".join(w for w in words if w)


def _short(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def stored_ct_window(info: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the window of a CT in HU, darkest and brightest; none of an MRI."""
    space = info.get("config", {}).get("space", {})
    if space.get("intensity") != "ct":
        return None
    return space["centre"] - space["width"] / 2, space["centre"] + space["width"] / 2


def _write(content: bytes, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content)
    return path
