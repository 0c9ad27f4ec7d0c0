"""The detections of a scan as a table: one row for each connected component of the mask."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from nibabel import orientations
from scipy import ndimage

from diffad.data.atlas.place_atlas import load_place_atlas
from diffad.data.atlas.place_name import PlaceName, name_place
from diffad.data.atlas.template_map import REGISTERED, TemplateMap
from diffad.data.detections import label_detections
from diffad.data.volume import Array, Volume
from diffad.io.atomic import write_text
from diffad.io.escape import format_csv
from diffad.io.shapes import is_number, is_text, list_of, optional, record_of
from diffad.io.text import read_json

CONNECTIVITIES = {6: 1, 18: 2, 26: 3}
"""Neighbours of a voxel, and over how many axes they may differ."""
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Lesion:
    """One connected component of the detections.

    Args:
        number: Number from 1, the highest peak first.
        volume_ml: Volume, in ml.
        voxels: Number of voxels.
        centre_mm: Centre of mass in world coordinates, (x, y, z) to the right, anterior and superior, in mm.
        centre_voxel: The same in voxels of the file, from 0, as a viewer shows it.
        extent_mm: Edges of the box around it, along the voxel axes of the file, in mm.
        mean: Mean of the anomaly map in it.
        peak: Highest value of the anomaly map in it.
        peak_voxel: Where that is, in voxels of the file.
        p_value: Smallest voxel-wise p-value in it, not corrected for how many voxels were looked at; none
            where the model is not calibrated.
        place: Where it lies, such as "left frontal lobe, white matter, periventricular", by the voxels of all
            of it; "" where nobody knows. This and the next four are those of ``PlaceName``.
        side: "left", "right", "both" or "midline" of the person.
        structure: Lobes or structures.
        tissue: Tissues.
        zone: Zones of the criteria of multiple sclerosis.
        place_source: "registration", "brain shape" where the place is rough, or "" where there is none.
    """

    number: int
    volume_ml: float
    voxels: int
    centre_mm: Triple
    centre_voxel: Triple
    extent_mm: Triple
    mean: float
    peak: float
    peak_voxel: tuple[int, int, int]
    p_value: float | None
    place: str = ""
    side: str = ""
    structure: str = ""
    tissue: str = ""
    zone: str = ""
    place_source: str = ""


PLACE_FIELDS = frozenset(f.name for f in fields(PlaceName)) | {"place_source"}
"""Fields that tables from before places had names lack."""
_TRIPLE = list_of(is_number, (3,))
TABLE = record_of(
    lesions=list_of(
        record_of(
            number=is_number,
            volume_ml=is_number,
            voxels=is_number,
            centre_mm=_TRIPLE,
            centre_voxel=_TRIPLE,
            extent_mm=_TRIPLE,
            mean=is_number,
            peak=is_number,
            peak_voxel=_TRIPLE,
            p_value=optional(is_number),
        )
    )
)
"""What lesions on disk are."""


def find_lesions(
    mask: Array,
    anomaly: Array,
    volume: Volume,
    p_value: Array | None = None,
    *,
    connectivity: int = 26,
    smallest_ml: float = 0.0,
    to_template: TemplateMap | None = None,
) -> list[Lesion]:
    """List the connected components of the detections of a volume, the highest peak first.

    Args:
        mask: Detections, (I, J, K), bool.
        anomaly: Anomaly map, (I, J, K).
        volume: The scan, for its geometry.
        p_value: Voxel-wise p-values, (I, J, K), or none.
        connectivity: Neighbours that belong together: 6 (faces), 18 (edges too) or 26 (corners too).
        smallest_ml: Smaller ones are left out, in ml.
        to_template: The way to the template, by which places get their names; none leaves them without.

    Raises:
        ValueError: If the connectivity is unknown.
    """
    if connectivity not in CONNECTIVITIES:
        raise ValueError(f"connectivity: expected 6, 18 or 26, got {connectivity}")
    labels = label_detections(mask, CONNECTIVITIES[connectivity])
    components = [
        _measure_component(labels[box] == index + 1, box, anomaly, p_value, volume)
        | _name_component(labels[box] == index + 1, box, volume, to_template)
        for index, box in enumerate(ndimage.find_objects(labels))
    ]
    large = [lesion for lesion in components if lesion["volume_ml"] >= smallest_ml]
    rows = sorted(large, key=lambda lesion: (-lesion["peak"], lesion["peak_voxel"]))
    return [Lesion(number=number, **lesion) for number, lesion in enumerate(rows, 1)]


def _measure_component(
    component: Array, box: tuple[slice, ...], anomaly: Array, p_value: Array | None, volume: Volume
) -> dict[str, Any]:
    corner = np.array([s.start for s in box])
    where, values = np.argwhere(component) + corner, anomaly[box][component]
    centre, peak, to_file = where.mean(0), where[int(values.argmax())], get_file_matrix(volume)
    affine, edges = volume.affine, np.array([s.stop - s.start for s in box]) * volume.spacing
    order = np.abs(to_file[:3, :3]).argmax(1)
    return {
        "volume_ml": round(len(where) * volume.voxel_ml, 6),
        "voxels": len(where),
        "centre_mm": _round_triple(affine[:3, :3] @ centre + affine[:3, 3]),
        "centre_voxel": _round_triple(to_file[:3, :3] @ centre + to_file[:3, 3]),
        "extent_mm": _round_triple(edges[order]),
        "mean": float(values.mean(dtype=np.float64)),
        "peak": float(values.max()),
        "peak_voxel": tuple(round(float(x)) for x in to_file[:3, :3] @ peak + to_file[:3, 3]),
        "p_value": None if p_value is None else float(p_value[box][component].min()),
    }


def _name_component(
    component: Array, box: tuple[slice, ...], volume: Volume, to_template: TemplateMap | None
) -> dict[str, str]:
    if to_template is None:
        return {}
    where = np.argwhere(component) + np.array([s.start for s in box])
    points = where @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    name = name_place(to_template.move(points), load_place_atlas())
    return asdict(name) | {"place_source": to_template.source if name.place else ""}


def get_file_matrix(volume: Volume) -> Array:
    """Return the matrix from RAS voxels to the voxels of the file, (4, 4)."""
    if volume.origin is None:
        return np.eye(4)
    orientation = orientations.io_orientation(volume.origin.affine)
    shape = np.array(volume.data.shape[1:])[orientation[:, 0].astype(int)]  # as on disk
    return np.asarray(orientations.inv_ornt_aff(orientation, shape))


def _round_triple(values: Array) -> Triple:
    x, y, z = (round(float(v), 4) for v in values)
    return x, y, z


def describe_place(lesion: Lesion) -> str:
    """Return the place of a lesion in words, with "about" where no registration says it."""
    if not lesion.place:
        return "not known"
    return lesion.place if lesion.place_source == REGISTERED else f"about {lesion.place}"


def write_lesions(lesions: Sequence[Lesion], folder: Path, prefix: str) -> dict[str, Path]:
    """Write ``STEM_lesions.csv``, with units in the names of its columns, and ``STEM_lesions.json``.

    Raises:
        OSError: If a file cannot be written.
    """
    paths = {kind: folder / f"{prefix}_lesions.{kind}" for kind in ("csv", "json")}
    write_text(paths["csv"], _format_csv(lesions))
    write_text(paths["json"], json.dumps({"lesions": [asdict(lesion) for lesion in lesions]}, indent=1))
    return paths


def read_lesions(path: Path) -> list[Lesion]:
    """Read the JSON that ``write_lesions`` wrote.

    Raises:
        ValueError: If it is another file; it is named.
        OSError: If it cannot be read.
    """
    expectation = "lesions, as predict writes them"
    table = read_json(path, expectation)
    names = {f.name for f in fields(Lesion)}
    if not TABLE(table) or any(not _has_fields(row, names) for row in table["lesions"]):
        raise ValueError(f"{path}: expected {expectation}, found others")
    return [Lesion(**{k: _freeze(v) for k, v in row.items()}) for row in table["lesions"]]


def _has_fields(row: dict[str, Any], names: set[str]) -> bool:
    """Tell whether a row has all names or all but those of places, which are texts."""
    texts = all(is_text(row[name]) for name in PLACE_FIELDS & set(row))
    return texts and set(row) | PLACE_FIELDS == names


def _freeze(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _format_csv(lesions: Sequence[Lesion]) -> str:
    return format_csv(*tabulate_lesions(lesions))


def tabulate_lesions(lesions: Sequence[Lesion]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the columns of the table of lesions, and a row for each."""
    columns = [column for f in fields(Lesion) for column in _name_columns(f.name)]
    rows = []
    for lesion in lesions:
        values = [getattr(lesion, f.name) for f in fields(Lesion)]
        rows.append([x for v in values for x in (v if isinstance(v, tuple) else (v,))])
    return columns, [dict(zip(columns, row, strict=True)) for row in rows]


def _name_columns(name: str) -> list[str]:
    """Name the columns of a field: three, by axis, of a place or an extent."""
    names = {
        "centre_mm": ("centre_x_mm", "centre_y_mm", "centre_z_mm"),
        "centre_voxel": ("centre_i", "centre_j", "centre_k"),
        "extent_mm": ("extent_i_mm", "extent_j_mm", "extent_k_mm"),
        "peak_voxel": ("peak_i", "peak_j", "peak_k"),
    }
    return list(names.get(name, (name,)))
