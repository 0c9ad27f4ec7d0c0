"""Checkpoints: safetensors and JSON in a folder that appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffad.io.atomic import UnwritableError, staged_folder
from diffad.io.digests import describe_file
from diffad.io.terminal import say
from diffad.io.wording import BoundedError, shorten
from diffad.training.changes import BINDING_KEYS, list_changes, say_changes

PREFIX = "step-"
PARTS = ("model", "ema", "optimizer")
INFO = "info.json"
DAMAGE = (OSError, SafetensorError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading a damaged file may end with."""

Tensors = dict[str, Tensor]


class CheckpointError(BoundedError):
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
    digests = {f"{part}.safetensors": describe_file(folder / f"{part}.safetensors") for part in PARTS}
    info = {**state.info, "digests": {**digests, INFO: _hash_info(state.info)}}
    (folder / INFO).write_text(json.dumps(info, indent=1), encoding="utf-8")


def _hash_info(info: dict[str, Any]) -> str:
    plain = json.loads(json.dumps(info))  # tuples are lists on disk
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, oldest first."""
    paths = (p for p in folder.glob(f"{PREFIX}*") if p.name.removeprefix(PREFIX).isdecimal())
    return sorted(paths, key=lambda p: int(p.name.removeprefix(PREFIX)))


def load_newest(
    folder: Path, config: dict[str, Any], binding: Sequence[str] = BINDING_KEYS, announce: bool = True
) -> Checkpoint | None:
    """Return the newest whole checkpoint, if there is any; damaged ones are passed over with a warning.

    Args:
        folder: Where the checkpoints of the run live.
        config: What the run to be resumed is configured as; each option that differs is said, by name.
        binding: Keys that must not differ, unless ``train.allow_changes`` is true.
        announce: Say what differs; one process of many does.

    Raises:
        CheckpointError: If all are damaged, or an option differs on which the loss depends.
    """
    paths = list_checkpoints(folder)
    for path in reversed(paths):
        try:
            state = load_checkpoint(path, config, binding)
        except DamagedError as error:
            warnings.warn(f"{error}; the one before is used", stacklevel=2)
            continue
        if announce:
            if path != paths[-1]:
                say(f"{folder}: goes on from {path.name}, as {paths[-1].name} is damaged")
            say_changes(path, list_changes(state.info["config"], config))
        return state
    if paths:
        raise CheckpointError(
            f"{folder}: expected a whole checkpoint, found damaged ones; remove them to start again"
        )
    return None


def load_checkpoint(path: Path, config: dict[str, Any], binding: Sequence[str] = BINDING_KEYS) -> Checkpoint:
    """Read a checkpoint, and compare its files with the checksums that were stored with them.

    Raises:
        DamagedError: If a file is missing or damaged.
        CheckpointError: If an option of ``binding`` is another in ``config``, and that is not allowed.
    """
    try:
        info = json.loads((path / INFO).read_text(encoding="utf-8"))
        _check_digests(path, info, info.pop("digests", None))
        if not config.get("train", {}).get("allow_changes"):
            is_finished = info["step"] >= config.get("train", {}).get("steps", math.inf)
            keys = [key for key in binding if key != "sampler" or not is_finished]
            _check_config(path, info["config"], config, keys)
        model, ema, optimizer = (load_file(path / f"{part}.safetensors") for part in PARTS)
        if not isinstance(info["step"], int):
            raise TypeError("a step that is no number")
    except CheckpointError:
        raise
    except (
        OSError,
        SafetensorError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as e:
        raise DamagedError(f"{path}: expected a whole checkpoint, found a damaged one ({shorten(e)})") from e
    return Checkpoint(model, ema, optimizer, info)


def _check_digests(path: Path, info: dict[str, Any], digests: dict[str, Any] | None) -> None:
    """Compare the files with what was written; checkpoints of older versions hold no checksums."""
    if digests is None:
        return
    names = [name for name in digests if name != INFO and describe_file(path / name) != digests[name]]
    names += [INFO] if digests[INFO] != _hash_info(info) else []
    if names or len(digests) != len(PARTS) + 1:
        raise ValueError(f"{', '.join(names) or INFO} is not what was written, by its checksum")


def _check_config(path: Path, old: dict[str, Any], new: dict[str, Any], binding: Sequence[str]) -> None:
    if changes := [c for c in list_changes(old, new) if c.is_binding(binding)]:
        raise CheckpointError(
            f"{path}: expected a checkpoint of {'; '.join(map(str, changes))}; "
            "choose another name or output to start again, or train.allow_changes=true to go on all the same"
        )
