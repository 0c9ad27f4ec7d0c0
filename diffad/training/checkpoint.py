"""Checkpoints: safetensors and JSON in a folder that appears whole or not at all."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffad.io.atomic import UnwritableError, staged_folder

PREFIX = "step-"
PARTS = ("model", "ema", "optimizer")
BINDING_KEYS = ("model", "noise", "schedule", "space")
"""Keys of the config that a resumed run must not change."""

GROWING_KEYS = ("schedule", "space")
"""Those whose options may become more with the version of diffad."""

Tensors = dict[str, Tensor]


class CheckpointError(ValueError):
    """A checkpoint that cannot be used or written; the message names the folder and the reason."""


class DamagedError(CheckpointError):
    """A checkpoint whose files are not whole."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run.

    Args:
        model: The network's tensors, by name.
        ema: The averaged network's tensors, by name.
        optimizer: The optimiser's tensors, by "parameter.name".
        info: What else a resumed run needs: step, config, seconds, ema_step.
    """

    model: Tensors
    ema: Tensors
    optimizer: Tensors
    info: dict[str, Any]


def pack(optimizer: dict[str, Any]) -> Tensors:
    """Flatten the state of each parameter in ``optimizer.state_dict()`` into named tensors."""
    return {f"{i}.{k}": torch.as_tensor(v) for i, s in optimizer["state"].items() for k, v in s.items()}


def unpack(tensors: Tensors, like: dict[str, Any]) -> dict[str, Any]:
    """Undo ``pack``; groups and options are those of the state dict ``like``."""
    state: dict[int, Tensors] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    return {"state": state, "param_groups": like["param_groups"]}


def save_checkpoint(folder: Path, state: Checkpoint, keep: int) -> Path:
    """Write ``folder/step-N`` and drop all but the newest ``keep``.

    Args:
        folder: Where the checkpoints of a run live.
        state: What to write; its info holds the step.
        keep: How many to keep.

    Returns:
        The finished folder.

    Raises:
        CheckpointError: If it cannot be written; earlier ones are left as they are.
    """
    target = folder / f"{PREFIX}{state.info['step']:07d}"
    _drop(folder.glob(f".{PREFIX}*"))
    try:
        with staged_folder(target) as partial:
            _write(partial, state)
    except UnwritableError as error:
        raise CheckpointError(f"{error}; earlier checkpoints are kept") from error
    paths = list_checkpoints(folder)
    n = paths.index(target) + 1
    _drop(paths[: max(0, n - keep)] + paths[n:])  # later ones are damaged, or this run would be there
    return target


def _drop(folders: Iterable[Path]) -> None:
    for folder in list(folders):
        shutil.rmtree(folder, ignore_errors=True)


def _write(folder: Path, state: Checkpoint) -> None:
    for part in PARTS:
        tensors = {k: v.detach().cpu().contiguous() for k, v in getattr(state, part).items()}
        save_file(tensors, folder / f"{part}.safetensors")
    (folder / "info.json").write_text(json.dumps(state.info, indent=1), encoding="utf-8")


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, oldest first."""
    paths = (p for p in folder.glob(f"{PREFIX}*") if p.name.removeprefix(PREFIX).isdigit())
    return sorted(paths, key=lambda p: int(p.name.removeprefix(PREFIX)))


def load_newest(folder: Path, config: dict[str, Any]) -> Checkpoint | None:
    """Return the newest whole checkpoint, if there is any; damaged ones are passed over with a warning.

    Args:
        folder: Where the checkpoints of the run live.
        config: What the run to be resumed is configured as.

    Raises:
        CheckpointError: If all are damaged, or it was made with another network, noise, schedule or space.
    """
    paths = list_checkpoints(folder)
    for path in reversed(paths):
        try:
            return load_checkpoint(path, config)
        except DamagedError as error:
            warnings.warn(f"{error}; the one before is used", stacklevel=2)
    if paths:
        raise CheckpointError(
            f"{folder}: expected a whole checkpoint, found damaged ones; remove them to start again"
        )
    return None


def load_checkpoint(path: Path, config: dict[str, Any]) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        DamagedError: If a file is missing or damaged.
        CheckpointError: If it was made with another network, noise, schedule or space than ``config`` says.
    """
    try:
        info = json.loads((path / "info.json").read_text(encoding="utf-8"))
        _check_config(path, {key: info["config"].get(key) for key in BINDING_KEYS}, config)
        model, ema, optimizer = (load_file(path / f"{part}.safetensors") for part in PARTS)
    except CheckpointError:
        raise
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{path}: expected a whole checkpoint, found a damaged one ({error})") from error
    return Checkpoint(model, ema, optimizer, info)


def _check_config(path: Path, values: dict[str, Any], config: dict[str, Any]) -> None:
    for key in BINDING_KEYS:
        value, expected = values[key], config[key]
        if key in GROWING_KEYS:  # an option that came later was not there to be chosen
            common = sorted(value.keys() & expected.keys())
            value, expected = ({k: v[k] for k in common} for v in (value, expected))
        if value != expected:
            raise CheckpointError(
                f"{path}: expected a checkpoint of {key} = {expected} as in the config, "
                f"found {value}; choose another name or output to start again"
            )
