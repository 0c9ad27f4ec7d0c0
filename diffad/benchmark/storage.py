"""Finished maps on disk: whole files, and beside them the hash of what they follow from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from diffad.benchmark.methods import Prediction
from diffad.io.atomic import write_bytes, write_text
from diffad.io.files import FileError
from diffad.io.shapes import is_number, is_text, list_of, record_of
from diffad.io.text import read_json
from diffad.io.wording import shorten

LISTS = {"maps": "maps", "twins": "reconstructions", "detected": "detections"}
"""Lists of a ``Prediction`` by the names that its tensors have on disk."""

NUMBERS = ("scores", "slices", "nfe", "seconds")
"""What the JSON beside the tensors holds of a ``Prediction``."""

INFO = record_of(
    scores=list_of(is_number), slices=is_number, nfe=is_number, seconds=is_number, sha256=is_text
)


def store_maps(path: Path, prediction: Prediction, info: Mapping[str, Any]) -> None:
    """Write maps, then the JSON beside them that makes them count as finished.

    Args:
        path: File of the tensors.
        prediction: The maps.
        info: What else the JSON holds.

    Raises:
        OSError: If they cannot be written.
    """
    from safetensors.torch import save

    lists = {name: getattr(prediction, field) for name, field in LISTS.items()}
    tensors = {f"{name}.{i:05}": x.contiguous() for name, xs in lists.items() for i, x in enumerate(xs)}
    content = save({key: x.to(torch.uint8) if x.dtype == torch.bool else x for key, x in tensors.items()})
    numbers = {name: getattr(prediction, name) for name in NUMBERS}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content)
    entries = {**info, **numbers, "sha256": hashlib.sha256(content).hexdigest()}
    write_text(path.with_suffix(".json"), json.dumps(entries, indent=1) + "\n")


def read_info(path: Path) -> dict[str, Any] | None:
    """Read the JSON beside maps; none if there is none, or it is none that ``store_maps`` wrote."""
    try:
        info = read_json(path.with_suffix(".json"))
    except FileError:
        return None
    return info if INFO(info) else None


def check_state(path: Path, fingerprint: str) -> str:
    """Tell whether maps are "finished", "absent", "broken", or follow from something "other"."""
    info = read_info(path)
    if info is None:
        return "broken" if path.with_suffix(".json").exists() else "absent"
    try:
        is_whole = hashlib.sha256(path.read_bytes()).hexdigest() == info["sha256"]
    except (OSError, KeyError):
        return "broken"
    if not is_whole:
        return "broken"
    return "finished" if info.get("fingerprint") == fingerprint else "other"


def load_maps(path: Path) -> Prediction:
    """Read what was stored.

    Raises:
        OSError: If a file cannot be read, or holds something else.
    """
    from safetensors.torch import load as parse

    info, content = read_info(path), path.read_bytes()
    if info is None:
        raise FileNotFoundError(f"{path.with_suffix('.json')}: expected the JSON beside the maps, found none")
    lists: dict[str, Any] = {field: [] for field in LISTS.values()}
    try:
        for key, tensor in sorted(parse(content).items()):
            lists[LISTS[key.partition(".")[0]]].append(tensor)
    except (SafetensorError, KeyError) as error:
        raise FileError(f"{path}: expected maps of the benchmark, found others ({shorten(error)})") from error
    lists["detections"] = [x.bool() for x in lists["detections"]]
    return Prediction(**lists, **{name: info[name] for name in NUMBERS})


def sweep_partial_files(out: Path) -> None:
    """Remove what a killed run was writing."""
    for folder in ("maps", "scores"):
        for path in (out / folder).rglob(".????????.*"):
            path.unlink(missing_ok=True)
