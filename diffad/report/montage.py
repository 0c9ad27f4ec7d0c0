"""Pictures of a result: one of a scan, and one of rows that the caller chooses."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffad.inference.headline import list_headlines
from diffad.inference.output import AnomalyOutput
from diffad.io.atomic import write_bytes
from diffad.report.overview import Overview
from diffad.report.planes import PictureRow, Planes
from diffad.report.sheet import Sheet, SheetText
from diffad.report.thumbnail import TILES, describe_tiles

SLICES, ITEMS = 5, 6
"""Most slices of a volume, and items of a batch, in a report."""

NOTICE = "Research use only. Not a medical device."


def save_report(out: AnomalyOutput, path: str | Path, lesion: Any = None) -> Path:
    """Draw a result: of a volume the most anomalous slices that are apart, of a tensor the first items.

    Rows show scan, ground truth if known, reconstruction, map with its threshold, and detections on the scan.
    Of several sequences the first is drawn. The same result gives the same file.

    Args:
        out: What the pipeline returned.
        path: PNG to write, whole or not at all.
        lesion: Ground truth on the axes of the map: (I, J, K), (B, *S) or (B, 1, *S), or a NIfTI path.

    Returns:
        The path.

    Raises:
        ValueError: If the lesion has another shape than the map.
        OSError: If the file cannot be written.
    """
    planes = Planes.of(out, lesion)
    indices = planes.choose(ITEMS if planes.axis is None else SLICES, out.info["threshold"])
    rows = [planes.cut_row(k) for k in indices]
    title = out.name if out.volume else f"{len(rows)} of {len(out.score)} items"
    overview = None if planes.axis is None else Overview.of(out, planes.axis, indices)
    return save_montage(rows, path, out.info, title, describe_result(out), planes, overview)


def save_montage(
    rows: Sequence[PictureRow],
    path: str | Path,
    info: Mapping[str, Any],
    title: str,
    subtitle: str = "",
    planes: Planes | None = None,
    overview: Overview | None = None,
) -> Path:
    """Draw rows of scan, ground truth, reconstruction, map and detections.

    Args:
        rows: Rows of one shape, top to bottom.
        path: PNG to write, whole or not at all.
        info: How they were made, see ``AnomalyOutput``; its threshold is marked in the colour bar, and its
            warnings stand above the rows.
        title: First line.
        subtitle: Second line.
        planes: Where the rows come from, for pixel size and sides.
        overview: The whole brain in small; none for none.

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
        window=find_ct_window(info),
        overview=overview,
    )
    content, path = io.BytesIO(), Path(path)
    origin = f"{describe_origin(info)}\n{NOTICE}"
    text = SheetText(title, subtitle, origin, info.get("warnings", ()), list_headlines(info))
    figure = sheet.draw(text)
    figure.savefig(content, format="png", metadata={TILES: describe_tiles(figure)})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content.getvalue())
    return path


def describe_result(out: AnomalyOutput) -> str:
    """Say in words the image score, the threshold and its rule, and how much was detected."""
    threshold = f"{out.info['threshold']:.3g} ({out.info.get('threshold_rule', 'fixed')})"
    count = int(out.mask.sum())
    if out.volume is None:
        return f"Threshold {threshold} · {count:,} pixels detected"
    volume_ml = count * float(out.volume.spacing.prod()) / 1000
    detections = f"{volume_ml:.1f} ml detected ({count:,} voxels)"
    return f"Image score {float(out.score[0]):.3g} · threshold {threshold} · {detections}"


def describe_origin(info: Mapping[str, Any]) -> str:
    """Say in words which model, sampler, seed and versions a result comes from."""
    sampler = dict(info.get("sampler") or {"name": "unknown"})
    options = ", ".join(f"{k}={_join_values(v)}" for k, v in sampler.items() if k != "name")
    parts = [
        f"Model {name_model(info.get('model'))}",
        f"sampler {sampler.get('name', 'unknown')}({options})",
        f"{info['nfe']} network evaluations per slice" if "nfe" in info else "",
        f"{info['slices']} slices" if "slices" in info else "",
        f"seed {info['seed']}" if "seed" in info else "",
        ", ".join(f"{k} {v}" for k, v in info.get("versions", {}).items()),
    ]
    return " · ".join(part for part in parts if part)


def _join_values(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def find_ct_window(info: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the window of a CT in HU, darkest and brightest; none of an MRI."""
    space = info.get("config", {}).get("space", {})
    if space.get("intensity") != "ct":
        return None
    return space["centre"] - space["width"] / 2, space["centre"] + space["width"] / 2


def name_model(model: Any) -> str:
    """Return the name of the model that a result says it is from."""
    return str((model.get("name", "unnamed") if isinstance(model, dict) else model) or "unnamed")
