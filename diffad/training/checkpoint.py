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
SAME = ("model", "noise", "schedule", "space")
SECTIONS = ("schedule", "space")
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
    found = list_checkpoints(folder)
    now = found.index(target)
    _drop(
        found[: max(0, now + 1 - keep)] + found[now + 1 :]
    )  # later ones were damaged, or this run were there
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
    found = (p for p in folder.glob(f"{PREFIX}*") if p.name.removeprefix(PREFIX).isdigit())
    return sorted(found, key=lambda p: int(p.name.removeprefix(PREFIX)))


def load_newest(folder: Path, config: dict[str, Any]) -> Checkpoint | None:
    """Return the newest whole checkpoint, if there is any; damaged ones are passed over with a warning.

    Args:
        folder: Where the checkpoints of the run live.
        config: What the run to be resumed is configured as.

    Raises:
        CheckpointError: If all are damaged, or it was made with another network, noise, schedule or space.
    """
    found = list_checkpoints(folder)
    for path in reversed(found):
        try:
            return load_checkpoint(path, config)
        except DamagedError as error:
            warnings.warn(f"{error}; the one before is used", stacklevel=2)
    if found:
        raise CheckpointError(
            f"{folder}: expected a whole checkpoint, found damaged ones; remove them to begin anew"
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
        saved = {key: info["config"].get(key) for key in SAME}
        _check_same(path, saved, config)
        model, ema, optimizer = (load_file(path / f"{part}.safetensors") for part in PARTS)
    except CheckpointError:
        raise
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{path}: expected a whole checkpoint, found a damaged one ({error})") from error
    return Checkpoint(model, ema, optimizer, info)


def _check_same(path: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    for key in SAME:
        if key in SECTIONS:  # an option that came later was not there to be chosen
            common = saved[key].keys() & wanted[key].keys()
            saved, wanted = ({**v, key: {k: v[key][k] for k in sorted(common)}} for v in (saved, wanted))
        if saved[key] != wanted[key]:
            raise CheckpointError(
                f"{path}: expected a checkpoint of {key} = {wanted[key]} as in the config, "
                f"found {saved[key]}; choose another name or output to begin anew"
            )
