"""Finished work on disk: whole files with a hash of what made them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from diffad.benchmark.methods import Prediction
from diffad.io.atomic import write_bytes, write_text

LISTS = ("maps", "twins", "detected")


@dataclass(frozen=True)
class PredictionUnit:
    """One method on one set with one seed.

    Args:
        label: Label of the method.
        seed: Seed of lesions and noise.
        name: Name of the set.
    """

    label: str
    seed: int
    name: str

    def __str__(self) -> str:
        return f"{self.label}, seed {self.seed}, {self.name}"

    def path(self, out: Path) -> Path:
        """Return the file of its maps."""
        return out / "maps" / self.label / f"seed-{self.seed}" / f"{self.name}.safetensors"


def store(path: Path, found: Prediction, told: Mapping[str, Any]) -> None:
    """Write maps, then the JSON beside them that makes them count as finished.

    Raises:
        OSError: If they cannot be written.
    """
    from safetensors.torch import save

    lists = {name: getattr(found, name) for name in LISTS}
    tensors = {f"{name}.{i:05}": x.contiguous() for name, xs in lists.items() for i, x in enumerate(xs)}
    content = save({key: x.to(torch.uint8) if x.dtype == torch.bool else x for key, x in tensors.items()})
    numbers = {name: getattr(found, name) for name in ("scores", "slices", "nfe", "seconds")}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content)
    made = {**told, **numbers, "sha256": hashlib.sha256(content).hexdigest()}
    write_text(path.with_suffix(".json"), json.dumps(made, indent=1) + "\n")


def read_info(path: Path) -> dict[str, Any] | None:
    """Read the JSON beside maps; none if there is none, or it cannot be read."""
    try:
        found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def check_state(path: Path, fingerprint: str) -> str:
    """Tell whether maps are "finished", "absent", "broken", or made by something "other"."""
    found = read_info(path)
    if found is None:
        return "broken" if path.with_suffix(".json").exists() else "absent"
    try:
        whole = hashlib.sha256(path.read_bytes()).hexdigest() == found["sha256"]
    except (OSError, KeyError):
        return "broken"
    if not whole:
        return "broken"
    return "finished" if found.get("fingerprint") == fingerprint else "other"


def load_maps(path: Path) -> Prediction:
    """Read what was stored.

    Raises:
        OSError: If a file cannot be read.
    """
    from safetensors.torch import load as parse

    tensors, numbers = parse(path.read_bytes()), read_info(path)
    if numbers is None:
        raise FileNotFoundError(f"{path.with_suffix('.json')}: expected what was told of the maps")
    lists: dict[str, Any] = {name: [] for name in LISTS}
    for key in sorted(tensors):
        lists[key.partition(".")[0]].append(tensors[key])
    lists["detected"] = [x.bool() for x in lists["detected"]]
    kept = {name: numbers[name] for name in ("scores", "slices", "nfe", "seconds")}
    return Prediction(**lists, **kept)


def note_failure(out: Path, label: str, reason: str) -> None:
    """Let all processes know why a method has no more maps."""
    path = out / "failed" / f"{label}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, reason)


def read_failures(out: Path) -> dict[str, str]:
    """Return why methods failed, by label."""
    found = sorted((out / "failed").glob("[!.]*.txt"))
    return {path.stem: path.read_text(encoding="utf-8") for path in found}


def forget_failures(out: Path) -> None:
    """Give every method another chance, and sweep up what a killed run was writing."""
    for path in (out / "failed").glob("*.txt"):
        path.unlink(missing_ok=True)
    for folder in ("maps", "scores"):
        for path in (out / folder).rglob(".????????.*"):
            path.unlink(missing_ok=True)
