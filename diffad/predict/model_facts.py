"""What a stored model says of itself, read without its networks."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from diffad.inference.candidates import Candidate
from diffad.inference.stored import INDEX
from diffad.io.digests import RECORD, find_damage
from diffad.io.text import read_json, read_text
from diffad.models.folder import read_mapping
from diffad.models.pretrained import locate_model

CARD = "README.md"
"""Name of the card of a model."""


def read_model_facts(name: str) -> dict[str, Any]:
    """Read what a model is: one plain value by key, always the same keys, null where it does not say.

    Args:
        name: Name of a shipped model, or a pipeline folder.

    Raises:
        OSError: If there is no such model here.
        ModelError: If its files do not fit together.
    """
    folder = Path(locate_model(name))
    candidate = Candidate.read(str(name))
    index, card = read_mapping(folder / INDEX), _read_card(folder)
    space, calibration, scope = index["space"], index.get("calibration") or {}, index.get("scope") or {}
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "name": index.get("provenance", {}).get("name") or str(name),
        "folder": str(folder.resolve()),
        "what": card.get("summary"),
        "modality": scope.get("modality") or ("CT" if candidate.is_ct else "MRI"),
        "ages": scope.get("ages"),
        "sequences": list(candidate.sequences) if candidate.sequences else None,
        "channels": candidate.channels,
        "coverage": _describe_coverage(index),
        "parameters": count_parameters(folder),
        "bytes": sum(path.stat().st_size for path in files),
        "licence": card.get("license"),
        "calibrated_on": _describe_calibration(calibration, scope),
        "rates": sorted(map(float, calibration.get("thresholds") or {})),
        "method": {part: (index.get(part) or {}).get("name") for part in ("noise", "sampler", "score")},
        "slices": f"{space.get('axis', 'axial')}, {space.get('size')} x {space.get('size')} pixels",
        "damage": find_damage(folder) or None,
    }


def read_checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the weights of a model as they were written; empty where none is stored."""
    path = folder / RECORD
    record = read_json(path, "sizes and checksums") if path.is_file() else {}
    return {name: str(entry.get("sha256")) for name, entry in record.items()}


def count_parameters(folder: Path) -> int:
    """Count the weights of all networks of a model, from the heads of their files alone."""
    from safetensors import safe_open

    count = 0
    for path in folder.rglob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            count += sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
    return count


def _describe_coverage(index: Mapping[str, Any]) -> str:
    """Say which part of the brain a model knows, as far as it says so."""
    axes = [index["space"].get("axis", "axial"), *index["space"].get("further_axes", ())]
    if ends := (index.get("scope") or {}).get("range_mm"):
        return f"{' and '.join(axes)} slices, {ends[0]:g} to {ends[1]:g} mm of MNI152"
    domain = (index.get("domain") or [{}])[0]
    height = (domain.get("ranges") or {}).get("height")
    known = f", of brains {height[0]:.0f} to {height[1]:.0f} mm high" if height else ""
    return f"{' and '.join(axes)} slices{known}"


def _describe_calibration(calibration: Mapping[str, Any], scope: Mapping[str, Any]) -> str | None:
    """Say on how many healthy scans of which sites thresholds were measured; none if they were not."""
    if text := scope.get("calibrated_on"):
        return str(text).removeprefix("calibrated on ")
    if not calibration:
        return None
    sites = calibration.get("sites") or {}
    where = f" of {', '.join(map(str, sites))}" if sites else ""
    return f"{calibration.get('scans', 'some')} healthy scans{where}"


def _read_card(folder: Path) -> dict[str, Any]:
    """Read the head of a card and its first sentence."""
    path = folder / CARD
    if not path.is_file():
        return {}
    text = read_text(path, "a card", errors="replace")
    head: Any = {}
    body = text
    if match := re.match(r"---\n(.*?)\n---\n(.*)", text, re.DOTALL):
        body = match[2]
        try:
            head = yaml.safe_load(match[1]) or {}
        except yaml.YAMLError:
            head = {}
    paragraphs = (" ".join(p.split()) for p in body.split("\n\n"))
    prose = (p for line in paragraphs if (p := re.sub(r"^#+ [^ ]* ?", "", line)) and p[0].isalpha())
    return {**(head if isinstance(head, dict) else {}), "summary": next(prose, None)}
