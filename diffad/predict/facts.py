"""What a path is: a scan, a model, a result, a folder of these; and whether a model could look at it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffad.config.reading import ReadOptions
from diffad.data.volume import Volume
from diffad.data.volume_file import read_volume_header
from diffad.inference.candidates import list_candidates
from diffad.inference.choice import choose_candidate, looks_like_ct
from diffad.inference.scan import ScanSource, read_source
from diffad.inference.stored import INDEX
from diffad.io.dicom_files import is_dicom_file
from diffad.io.naming import Naming, find_maps
from diffad.io.nifti import stem
from diffad.io.search import find_scans
from diffad.io.spaces import TAG
from diffad.io.subjects import parse_mask
from diffad.io.text import read_json
from diffad.models.pretrained import list_shipped_models
from diffad.predict.dicom_facts import describe_dicom, tabulate_dicom
from diffad.predict.model_facts import read_model_facts
from diffad.predict.results import Results

Facts = dict[str, Any]
NO_BRAIN = "no brain mask: give one with --mask, or let --prepare find the brain"


def read_facts(target: str, mask: str = "") -> Facts:
    """Say what a path or a name is.

    Args:
        target: A scan, a folder of scans, a model, a folder of results, or one result.
        mask: Brain mask of a scan, as ``diffad predict`` takes it.

    Returns:
        Plain values by key; ``kind`` says what it is, ``runs`` whether a model could look at it.

    Raises:
        FileNotFoundError: If there is no such thing.
        ValueError: If it cannot be read; it is named.
    """
    path = Path(target)
    if target in list_shipped_models() or (path / INDEX).is_file():
        return {"kind": "model", **read_model_facts(target)}
    if not path.exists():
        raise FileNotFoundError(f"{target}: expected a scan, a model or results, found no such file or name")
    if path.is_dir():
        return _describe_folder(path)
    if path.name.endswith("_info.json") or path.suffix == ".json":
        return _describe_record(path)
    if is_dicom_file(path):
        return describe_dicom([path], target)
    if (record := _find_record(path)) is not None:
        return _describe_record(record)
    if path.suffix in (".yaml", ".yml"):
        return {"kind": "config", "path": target, "next": f"diffad train {target} --dry-run"}
    return describe_scan(path, mask)


def _describe_folder(folder: Path) -> Facts:
    if (folder / "results.csv").is_file() or find_maps(folder):
        rows = Results(folder / "results.csv").rows
        failures = [name for name, row in rows.items() if row["status"] == "failed"]
        facts: Facts = {"kind": "results", "path": str(folder), "scans": len(rows), "failed": failures}
        facts |= {"outside_domain": [name for name, row in rows.items() if row["domain"] == "outside"]}
        facts |= {"warned": [name for name, row in rows.items() if row["warnings"]]}
        return facts | {"page": str(folder / "index.html"), "next": f"diffad report {folder}"}
    search = find_scans([folder], takes_dicom=True)
    if search.dicom and not search.scans:
        return describe_dicom(search.dicom, str(folder))
    notes = [*search.describe_gaps(), *search.describe_rest()]
    notes += [f"{len(search.dicom)} DICOM files lie there, too"] if search.dicom else []
    facts = {"kind": "folder of scans", "path": str(folder), "scans": len(search.scans)}
    facts |= {"passed_over": len(search.ignored), "notes": notes, "first": str(search.scans[0])}
    return facts | {"next": f"diffad info {search.scans[0]}"}


def _find_record(path: Path) -> Path | None:
    """Return what is stored with the maps that a file belongs to; none if it is no result."""
    path = path.with_name(path.name.replace(f"_{TAG}_", "_"))
    for end in ("_scan", "_anomaly", "_mask", "_twin", "_seen", "_std", "_pvalue", "_report", "_lesions"):
        if stem(path).endswith(end) or path.stem.endswith(end):
            name = stem(path).removesuffix(end).removesuffix(f"{end}.html")
            record = Naming(Path(name).name.removesuffix(end)).files(path.parent)["info"]
            if record.is_file():
                return record
    return None


def _describe_record(path: Path) -> Facts:
    info = read_json(path, "what predict stored with the maps")
    if not isinstance(info, dict) or "threshold" not in info:
        raise ValueError(f"{path}: expected what predict stored with the maps, found other JSON")
    keys = ("scan", "image_score", "anomalous_ml", "threshold", "threshold_rule", "slices", "slice_range")
    facts: Facts = {"kind": "result", "path": str(path), "model": (info.get("model") or {}).get("name")}
    facts |= {key: info.get(key) for key in (*keys, "nfe", "seconds", "versions", "warnings")}
    return facts | {"domain": (info.get("domain") or {}).get("status")}


def describe_scan(path: Path, mask: str = "") -> Facts:
    """Say what a scan is, what is odd about it, and which shipped model suits it.

    Raises:
        ValueError: If it is no scan that can be read.
        OSError: If it cannot be opened.
    """
    from nibabel.affines import voxel_sizes
    from nibabel.orientations import aff2axcodes

    header = read_volume_header(path, ReadOptions())
    spacing = voxel_sizes(header.affine).round(3).tolist()
    facts: Facts = {"kind": "scan", "path": str(path), "shape": list(header.shape), "spacing_mm": spacing}
    facts |= {"axes": "".join(aff2axcodes(header.affine)), "stored_as": str(header.dtype)}
    try:
        volume = Volume.load([path])
        facts |= {"range": [round(float(v), 3) for v in (volume.data.min(), volume.data.max())]}
        source = read_source(volume, parse_mask(mask) if mask else None)
    except ValueError as error:
        return facts | {"runs": False, "missing": [str(error)]}
    warnings = list(source.warnings)
    is_head = any("skull-stripped" in warning for warning in warnings)
    missing = [NO_BRAIN] if is_head else []
    if not is_head:  # what is above zero in a head is no brain
        facts |= {"brain_ml": round(float(source.brain.sum()) * volume.voxel_ml, 1)}
    facts |= {"warnings": warnings, "runs": not missing, "missing": missing}
    return (
        facts | (_choose_model(source) if not missing else {}) | {"next": _format_next(path, is_head, mask)}
    )


def _choose_model(source: ScanSource) -> Facts:
    assert source.volume is not None
    try:
        candidates = list_candidates("auto")[0]
        choice = choose_candidate(source.volume, source.brain[0, 0], candidates)
    except (ValueError, OSError) as error:
        return {"model": None, "model_reason": str(error)}
    is_ct = looks_like_ct(source.volume, source.brain[0, 0])
    facts: Facts = {
        "modality": "CT, by its numbers" if is_ct else "MRI, by its numbers",
        "model": choice.name,
    }
    facts |= {"model_reason": choice.reason, "suits": True}
    if is_ct != next(c.is_ct for c in candidates if c.name == choice.name):
        problem = f"no shipped model knows such scans: {choice.name} is of {'MRI' if is_ct else 'CT'}"
        facts |= {"suits": False, "missing": [f"{problem}; name one with --model"]}
    return facts


def _format_next(path: Path, prepares: bool, mask: str) -> str:
    words = ["diffad predict", str(path), *(["--mask", mask] if mask else [])]
    return " ".join([*words, *(["--prepare"] if prepares else []), "--out maps"])


def tabulate_facts(facts: Facts) -> list[str]:
    """Write facts one a line; what is not known is left out."""
    if "visits" in facts:
        return tabulate_dicom(facts)
    names = {key: key.replace("_", " ").replace(" mm", " (mm)").replace(" ml", " (ml)") for key in facts}
    width = max(map(len, names.values()))
    rows = ((names[key], value) for key, value in facts.items() if value not in (None, [], {}))
    return [f"{name:{width}}  {_format_value(value)}" for name, value in rows]


def _format_value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        separator = "; " if any(" " in str(inner) for inner in value) else ", "
        return separator.join(str(inner) for inner in value)
    return json.dumps(value) if isinstance(value, float) else str(value)
