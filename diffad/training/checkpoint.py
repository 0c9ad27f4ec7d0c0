"""Checkpoints: safetensors and JSON in a folder that appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

PREFIX = "step-"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the folder and the reason."""


def _pack(optimizer: dict[str, Any]) -> dict[str, Tensor]:
    """Flatten an optimiser's per-parameter state into named tensors."""
    return {f"{i}.{k}": torch.as_tensor(v) for i, s in optimizer["state"].items() for k, v in s.items()}


def _unpack(tensors: dict[str, Tensor], like: dict[str, Any]) -> dict[str, Any]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    return {"state": state, "param_groups": like["param_groups"]}


def save(
    folder: Path,
    step: int,
    model: dict[str, Tensor],
    ema: dict[str, Tensor],
    optimizer: dict[str, Any],
    info: dict[str, Any],
    keep: int,
) -> Path:
    """Write ``folder/step-N`` and drop all but the newest ``keep``.

    Args:
        folder: Where the checkpoints of a run live.
        step: Steps done.
        model: The network's tensors.
        ema: The averaged network's tensors.
        optimizer: ``optimizer.state_dict()``.
        info: What else a resumed run must agree on (the config, the step).
        keep: How many to keep.

    Returns:
        The finished folder.
    """
    target = folder / f"{PREFIX}{step:07d}"
    partial = folder / f".{target.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        save_file({k: v.detach().cpu().contiguous() for k, v in model.items()}, partial / "model.safetensors")
        save_file({k: v.detach().cpu().contiguous() for k, v in ema.items()}, partial / "ema.safetensors")
        save_file({k: v.cpu().contiguous() for k, v in _pack(optimizer).items()}, partial / "optimizer.safetensors")
        (partial / "info.json").write_text(json.dumps({"step": step, **info}, indent=1), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(partial, target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    for old in checkpoints(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def checkpoints(folder: Path) -> list[Path]:
    """Return the finished checkpoints of a run, oldest first."""
    return sorted(p for p in folder.glob(f"{PREFIX}*") if (p / "info.json").is_file())


def load(path: Path, optimizer_like: dict[str, Any]) -> dict[str, Any]:
    """Read a checkpoint as a dict with model, ema, optimizer and info.

    Raises:
        CheckpointError: If a file is missing or damaged.
    """
    try:
        return {
            "model": load_file(path / "model.safetensors"),
            "ema": load_file(path / "ema.safetensors"),
            "optimizer": _unpack(load_file(path / "optimizer.safetensors"), optimizer_like),
            "info": json.loads((path / "info.json").read_text(encoding="utf-8")),
        }
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: expected a whole checkpoint, found a damaged one ({error})") from error


def check_same(path: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse to resume a run whose network, noise or schedule differ.

    Raises:
        CheckpointError: With the first part that differs, as saved and as wanted.
    """
    for key in ("model", "noise", "schedule", "space"):
        if saved.get(key) != wanted.get(key):
            raise CheckpointError(f"{path}: was made with {key} = {saved.get(key)}, the config says {wanted.get(key)}")
