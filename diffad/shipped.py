"""Models that come with the package, found by name; and a look at a folder before anything in it is loaded."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from diffad.registry import MODELS


def shipped_models() -> dict[str, Path]:
    """Return the folders of the models that come with the package, by name."""
    root = Path(str(resources.files("diffad.models"))) / "shipped"
    return {p.name: p for p in sorted(root.glob("*")) if (p / "model_index.json").is_file()}


def locate(name: str | Path) -> str:
    """Find a model: a shipped name, a folder, or (left to diffusers) a hub id.

    Raises:
        OSError: If it is neither a shipped name nor a folder, and cannot be a hub id.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "model_index.json").is_file():
            raise FileNotFoundError(f"{folder}: expected a pipeline folder with model_index.json, found none")
        return str(folder)
    known = shipped_models()
    if str(name) in known:
        return str(known[str(name)])
    if str(name).count("/") != 1 or str(name).startswith((".", "/", "~")):
        raise FileNotFoundError(f"{name}: no such model folder; shipped models: {', '.join(known) or 'none'}")
    return str(name)


def check_folder(folder: Path) -> None:
    """Refuse a pipeline folder whose index names classes other than registered networks and diffusers schedulers.

    Raises:
        ValueError: With the class that is not allowed.
    """
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    networks = {f"{MODELS[name].__module__}.{MODELS[name].__name__}" for name in MODELS}
    for part in ("network", "scheduler"):
        library, name = index.get(part) or (None, None)
        allowed = f"{library}.{name}" in networks if part == "network" else library == "diffusers"
        if not allowed:
            raise ValueError(f"{folder}: {part} asks for {library}.{name}, which is not a registered part")
