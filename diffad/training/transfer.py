"""Trained weights on disk, and their way into a network: whole, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffad.io.atomic import UnwritableError, staged_folder
from diffad.models.encoder import Encoder
from diffad.training.checkpoint import CheckpointError

WEIGHTS = "encoder.safetensors"
OPTIONS = "encoder.json"
HEAD = ("resnet.fc.weight", "resnet.fc.bias")
SHOWN = 3
"""How many names an error lists."""


def save_encoder(encoder: Encoder, folder: Path, head: bool, info: dict[str, Any]) -> Path:
    """Write weights and options of an encoder to ``folder``, which appears whole or not at all.

    Args:
        encoder: What is written.
        folder: Folder to write or replace.
        head: Whether its head was trained; else it stays out, and the file says so.
        info: What made it.

    Raises:
        CheckpointError: If it cannot be written.
    """
    kept = {k: v for k, v in encoder.state_dict().items() if head or k not in HEAD}
    described = {"encoder": encoder.options, "head": head, "made": info}
    try:
        with staged_folder(folder) as partial:
            save_file({k: v.detach().cpu().contiguous() for k, v in kept.items()}, partial / WEIGHTS)
            (partial / OPTIONS).write_text(json.dumps(described, indent=1), encoding="utf-8")
    except UnwritableError as error:
        raise CheckpointError(str(error)) from error
    return folder


def load_encoder(network: Any, path: str | Path) -> None:
    """Load a pretrained encoder into ``network.encoder``; nothing is changed unless all of it fits.

    A head that was never trained may be absent, if the file says so; the network keeps its own then.

    Args:
        network: A network with an encoder.
        path: Folder that ``save_encoder`` wrote, or the file of weights in it.

    Raises:
        CheckpointError: If the network has no encoder, a file is missing or damaged, it holds an encoder of
            other options, or its weights are not exactly those of the encoder by name and shape.
    """
    encoder = getattr(network, "encoder", None)
    if not isinstance(encoder, Encoder):
        raise CheckpointError(f"{path}: expected a network with an encoder, got {type(network).__name__}")
    folder = Path(path).parent if Path(path).suffix == Path(WEIGHTS).suffix else Path(path)
    described, weights = _read(folder)
    _check_options(folder / OPTIONS, described["encoder"], encoder.options)
    own = encoder.state_dict()
    wanted = own if described["head"] else {k: v for k, v in own.items() if k not in HEAD}
    _check_weights(folder / WEIGHTS, weights, wanted)
    encoder.load_state_dict({**own, **weights})


def load_weights(network: Any, path: Path) -> None:
    """Load all weights of a network of the same architecture.

    Args:
        network: What they are loaded into.
        path: Folder of a pipeline, or of a network.

    Raises:
        CheckpointError: If there are none, or they are not exactly those of the network by name and shape.
    """
    folder = path / "network" if (path / "network").is_dir() else path
    found: dict[str, Tensor] = {}
    try:
        for file in sorted(folder.glob("*.safetensors")):
            found |= load_file(file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file}: expected weights, found none ({error})") from error
    if not found:
        raise CheckpointError(f"{path}: expected the folder of a pipeline or a network, found no weights")
    _check_weights(folder, found, network.state_dict())
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in found.items()})


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    path = folder / OPTIONS
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        if not (isinstance(described["encoder"], dict) and isinstance(described["head"], bool)):
            raise TypeError("no options, or no word on its head")
        path = folder / WEIGHTS
        return described, load_file(path)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: expected a pretrained encoder, found none ({error})") from error


def _check_options(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    odd = sorted(k for k in found.keys() | wanted.keys() if found.get(k) != wanted.get(k))
    if odd:
        pairs = [f"{k} = {wanted.get(k)!r}, found {found.get(k)!r}" for k in odd[:SHOWN]]
        raise CheckpointError(f"{path}: expected an encoder of {'; '.join(pairs)}")


def _check_weights(path: Path, found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    shapes = [
        f"{k} has shape {tuple(found[k].shape)}, not {tuple(v.shape)}"
        for k, v in wanted.items()
        if k in found and found[k].shape != v.shape
    ]
    missing = [f"{k} is missing" for k in wanted if k not in found]
    surplus = [f"{k} belongs to no layer" for k in found if k not in wanted]
    if odd := missing + surplus + shapes:
        more = f" and {len(odd) - SHOWN} more" if len(odd) > SHOWN else ""
        raise CheckpointError(
            f"{path}: expected the weights of this network, found others: {'; '.join(odd[:SHOWN])}{more}"
        )
