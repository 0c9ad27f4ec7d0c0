"""A comparison on disk: a folder that is whole or not there, with a record of what it follows from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from diffad.data.volume import Array, Volume
from diffad.follow_up.comparison import Comparison
from diffad.follow_up.page import render_comparison
from diffad.follow_up.sheet import draw_comparison, draw_planes
from diffad.follow_up.tables import format_changes
from diffad.io.atomic import staged_folder
from diffad.io.digests import RECORD, compare_file, write_digests
from diffad.io.text import read_json
from diffad.prepare.geometry import format_itk

FOLDER, INFO = "comparison", "comparison.json"
"""Name of the folder of a comparison, and of its record."""
PAGE, PICTURE, TABLE = "comparison.html", "comparison.png", "changes.csv"
KINDS: dict[str, tuple[str, Any]] = {
    "scan": ("scan", np.float32),
    "anomaly": ("anomaly", np.float32),
    "labels": ("detections", np.int32),
    "analysed": ("seen", np.uint8),
}
"""Images of a visit at the midpoint: how their files end, and their type."""


def read_comparison(out: Path, verify: bool = False) -> tuple[dict[str, Any] | None, str]:
    """Return the record of a finished comparison, none if there is none that is whole, and what is damaged.

    Args:
        out: Folder of the results.
        verify: Compare the content of files, not only their size.
    """
    folder = out / FOLDER
    if not folder.exists():
        return None, ""
    try:
        record, digests = read_json(folder / INFO), read_json(folder / RECORD)
        names = [*digests.items()]
    except (OSError, ValueError, AttributeError) as error:
        return None, f"{folder} cannot be read ({error})"
    damage = next((text for name, entry in names if (text := compare_file(folder / name, entry, verify))), "")
    if damage or not isinstance(record, dict):
        return None, damage or f"{INFO} is no record"
    return record, ""


def write_comparison(
    comparison: Comparison, out: Path, request: dict[str, Any], links: dict[str, str], page: bool = True
) -> dict[str, Any]:
    """Write the folder of a comparison, whole or not at all, and return its record.

    Args:
        comparison: The comparison.
        out: Folder of the results.
        request: What it follows from.
        links: Pages of the visits by name, relative to the folder.
        page: Whether to write the page, too.

    Raises:
        OSError: If it cannot be written.
    """
    record = describe_comparison(comparison) | {"request": request}
    picture = draw_comparison(comparison)
    with staged_folder(out / FOLDER) as folder:
        _write_images(comparison, folder)
        for number, world in enumerate(comparison.midpoint.to_visits, 1):
            (folder / f"visit-{number}_to_midpoint.tfm").write_text(format_itk(world))
        (folder / TABLE).write_text(format_changes(comparison.changes), encoding="utf-8")
        (folder / PICTURE).write_bytes(picture)
        if page:
            text = render_comparison(comparison, draw_planes(comparison), record, links)
            (folder / PAGE).write_text(text, encoding="utf-8")
        (folder / INFO).write_text(json.dumps(record, indent=1), encoding="utf-8")
        write_digests(folder, [path for path in folder.iterdir() if path.name != RECORD])
    return record


def _write_images(comparison: Comparison, folder: Path) -> None:
    save = _make_saver(comparison)
    for number, images in enumerate(comparison.images, 1):
        for kind, (end, dtype) in KINDS.items():
            save(images[kind], folder / f"visit-{number}_{end}.nii.gz", dtype)
    save(comparison.map_change, folder / "anomaly_change.nii.gz", np.float32)
    save(comparison.subtraction, folder / "subtraction.nii.gz", np.float32)


def _make_saver(comparison: Comparison) -> Callable[[Array, Path, Any], None]:
    grid = comparison.midpoint.grid
    volume = Volume(comparison.images[0]["scan"][None], grid.affine)
    return lambda image, path, dtype: volume.save(image, path, dtype=dtype)


def describe_comparison(comparison: Comparison) -> dict[str, Any]:
    """Return everything that is stored of a comparison, as plain values."""
    grid = comparison.midpoint.grid
    visits = [
        {
            "scan": str(visit.path),
            "detections": len(visit.lesions),
            "volume_ml": round(sum(lesion.volume_ml for lesion in visit.lesions), 4),
            "threshold": visit.threshold,
            "domain": visit.info.get("domain"),
            "warnings": visit.info.get("warnings", []),
            "to_midpoint_mm": np.linalg.inv(world).round(8).tolist(),
        }
        for visit, world in zip(comparison.visits, comparison.midpoint.to_visits, strict=True)
    ]
    return {
        "headline": comparison.headline,
        "warnings": list(comparison.warnings),
        "changes": [asdict(change) for change in comparison.changes],
        "visits": visits,
        "registration": comparison.alignment.to_dict(),
        "midpoint": {"shape": list(grid.shape), "affine": grid.affine.round(6).tolist()},
        "intensities": comparison.fit.to_dict(),
        "noise": comparison.noise.to_dict() if comparison.noise else None,
        **comparison.facts,
    }
