"""Exported cores on disk: where they lie, what they were made of, and whether they are still whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from diffad.io.atomic import staged_folder
from diffad.io.digests import compare_file, describe_file
from diffad.io.text import read_json
from diffad.models.pretrained import list_shipped_models

RECORD = "engine.json"
FOLDER = "engines"
"""Folder of exports in that of a model."""
CACHE = "DIFFAD_CACHE"
"""Variable that names the folder of exports of models whose own folder takes none."""
FORMAT = 1
"""Number of the way in which cores are exported; a new number keeps old exports from being used."""


def hash_network(network: nn.Module) -> str:
    """Return the SHA-256 of the weights and options of a network."""
    config = getattr(network, "config", {})
    options = {key: value for key, value in dict(config).items() if not key.startswith("_")}
    digest = hashlib.sha256(
        json.dumps([type(network).__name__, options], sort_keys=True, default=str).encode()
    )
    for name, weights in sorted(network.state_dict().items()):
        digest.update(name.encode() + weights.detach().cpu().double().numpy().tobytes())
    return digest.hexdigest()


def choose_folder(model: Path | None, digest: str) -> Path:
    """Return the folder of all exports of a network.

    That is ``engines`` in the folder of its model; of a shipped model, one whose folder cannot be written,
    or a network without a folder, it is one of the cache, ``$DIFFAD_CACHE`` or ``~/.cache/diffad``.

    Args:
        model: Folder of the model, or none.
        digest: Hash of the network.
    """
    if model is not None and _takes_files(model):
        return model / FOLDER
    cache = (
        os.environ.get(CACHE) or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "diffad"
    )
    return Path(cache) / FOLDER / digest[:16]


def _takes_files(model: Path) -> bool:
    is_shipped = any(model.resolve() == folder.resolve() for folder in list_shipped_models().values())
    return model.is_dir() and not is_shipped and os.access(model, os.W_OK)


def write_export(folder: Path, record: Mapping[str, Any], write: Any) -> None:
    """Write an export with its record, whole or not at all.

    Args:
        folder: Where to; replaced if it is there.
        record: What it is made of.
        write: Called with the folder to write files into.

    Raises:
        UnwritableError: If it cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with staged_folder(folder) as partial:
        write(partial)
        files = {path.name: describe_file(path) for path in sorted(partial.iterdir())}
        text = json.dumps({**record, "format": FORMAT, "files": files}, indent=1)
        (partial / RECORD).write_text(text + "\n", encoding="utf-8")


def read_export(folder: Path) -> dict[str, Any] | None:
    """Return the record of an export; none if there is none.

    Raises:
        ValueError: If it is no record.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    record = read_json(path, "the record of an exported network")
    if not isinstance(record, dict):
        raise ValueError(f"{path}: expected the record of an exported network, found other JSON")
    return record


def find_fault(folder: Path, record: Mapping[str, Any], digest: str) -> str:
    """Say why an export cannot be used; empty if it can.

    Args:
        folder: Where it lies.
        record: Its record.
        digest: Hash of the network that it should be of.
    """
    if record.get("format") != FORMAT:
        return "was made by another version"
    if record.get("network") != digest:
        return "is of other weights than the model's"
    files = record.get("files")
    if not isinstance(files, dict):
        return "names no files"
    faults = (compare_file(folder / Path(name).name, entry) for name, entry in files.items())
    return next((fault for fault in faults if fault), "")
