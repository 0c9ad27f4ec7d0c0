"""Trained weights on disk, and their way into a network: whole, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffad.denoise import marks_anomalies, takes_neighbours
from diffad.io.atomic import UnwritableError, staged_folder
from diffad.io.files import open_regular
from diffad.io.text import read_json
from diffad.io.wording import shorten
from diffad.models.encoder import Encoder
from diffad.models.place import LAYERS
from diffad.models.pretrained import list_shipped_models
from diffad.training.checkpoint import CheckpointError

WEIGHTS = "encoder.safetensors"
OPTIONS = "encoder.json"
HEAD = ("resnet.fc.weight", "resnet.fc.bias")
FIRST = ("unet.conv_in.weight", "embed.weight", "stem.1.weight")
"""Weights of the layer that neighbouring slices are added to: of U-Nets, and of transformers."""
SCALES = ("stem.0.scale", "stem.0.shift")
"""Weights of each channel before that layer."""
LAST = {"unet.conv_out.weight", "unet.conv_out.bias", "head.weight", "head.bias", "out.weight", "out.bias"}
"""Weights of the layers that marks are added to."""
MAX_NAMES = 3
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
    weights = {k: v for k, v in encoder.state_dict().items() if head or k not in HEAD}
    options = {"encoder": encoder.options, "head": head, "made": info}
    try:
        with staged_folder(folder) as partial:
            save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, partial / WEIGHTS)
            (partial / OPTIONS).write_text(json.dumps(options, indent=1), encoding="utf-8")
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
    options, weights = _read_encoder(folder)
    _check_options(folder / OPTIONS, options["encoder"], encoder.options)
    state = encoder.state_dict()
    expected = state if options["head"] else {k: v for k, v in state.items() if k not in HEAD}
    _check_weights(folder / WEIGHTS, weights, expected)
    encoder.load_state_dict({**state, **weights})


def locate_start(name: str) -> Path:
    """Return a folder, or that of the shipped model of this name where there is no such folder."""
    models = list_shipped_models()
    return Path(models[name]) if name in models and not Path(name).exists() else Path(name)


def load_weights(network: Any, path: Path) -> None:
    """Load all weights of a network of the same architecture.

    Weights of a network that knew no places may be loaded into one that does: its layers of places stay as
    they are, and answer 0 at first. So does what marks anomalies, where it is new, and neighbouring slices
    begin with weights of 0.

    Args:
        network: What they are loaded into.
        path: Folder of a pipeline, or of a network.

    Raises:
        CheckpointError: If there are none, or they are not exactly those of the network by name and shape.
    """
    folder = path / "network" if (path / "network").is_dir() else path
    weights: dict[str, Tensor] = {}
    try:
        for file in sorted(folder.glob("*.safetensors")):
            open_regular(file, "weights").close()
            weights |= load_file(file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file}: expected weights, found none ({error})") from error
    if not weights:
        raise CheckpointError(f"{path}: expected the folder of a pipeline or a network, found no weights")
    state = network.state_dict()
    new = {k: v for k, v in state.items() if LAYERS in k.split(".")}
    if not new.keys() & weights.keys():
        weights = {**new, **weights}
    if marks_anomalies(network):
        weights |= {k: _add_marks(weights[k], state[k]) for k in LAST & weights.keys() & state.keys()}
    if count := takes_neighbours(network):
        for key in (k for k in weights.keys() & state.keys() if k.endswith((*FIRST, *SCALES))):
            weights[key] = _add_neighbours(weights[key], state[key], count)
    _check_weights(folder, weights, state)
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()})


def _add_marks(weight: Tensor, like: Tensor) -> Tensor:
    """Add rows of zeros for the marks to a last layer, and columns where it mixes them."""
    rows = len(like) - len(weight)
    if like.ndim == 4 and like.shape[1] - weight.shape[1] == rows > 0:
        weight = torch.cat([weight, weight.new_zeros(len(weight), rows, *weight.shape[2:])], 1)
    if rows <= 0 or weight.shape[1:] != like.shape[1:] or len(weight) % rows:
        return weight
    return torch.cat([weight, weight.new_zeros(rows, *weight.shape[1:])])


def _add_neighbours(weight: Tensor, like: Tensor, count: int) -> Tensor:
    """Add input channels of zeros for the neighbours to the first layer of a network without.

    The scale and shift of each channel, before that layer, become those of a network that is not trained.
    """
    if like.ndim == weight.ndim == 1 and len(like) == (1 + 2 * count) * len(weight):
        return torch.cat([weight, like[len(weight) :].to(weight)])
    if like.ndim < 2 or weight.ndim < 2:
        return weight
    rest = like.shape[1] - weight.shape[1]
    if rest != 2 * count * weight.shape[1] or len(weight) != len(like) or weight.shape[2:] != like.shape[2:]:
        return weight
    return torch.cat([weight, weight.new_zeros(len(weight), rest, *weight.shape[2:])], 1)


def _read_encoder(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    path = folder / OPTIONS
    try:
        options = read_json(path, "the options of an encoder")
        if not (isinstance(options["encoder"], dict) and isinstance(options["head"], bool)):
            raise TypeError("no options, or no word on its head")
        path = folder / WEIGHTS
        open_regular(path, "weights").close()
        return options, load_file(path)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        found = shorten(error)
        raise CheckpointError(f"{path}: expected a pretrained encoder, found none ({found})") from error


def _check_options(path: Path, options: dict[str, Any], expected: dict[str, Any]) -> None:
    names = sorted(k for k in options.keys() | expected.keys() if options.get(k) != expected.get(k))
    if names:
        pairs = [f"{k} = {expected.get(k)!r}, found {options.get(k)!r}" for k in names[:MAX_NAMES]]
        raise CheckpointError(f"{path}: expected an encoder of {'; '.join(pairs)}")


def _check_weights(path: Path, weights: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    faults = [f"{k} is missing" for k in expected if k not in weights]
    faults += [f"{k} belongs to no layer" for k in weights if k not in expected]
    faults += [
        f"{k} has shape {tuple(weights[k].shape)}, not {tuple(v.shape)}"
        for k, v in expected.items()
        if k in weights and weights[k].shape != v.shape
    ]
    faults += [f"{k} is not finite" for k, v in weights.items() if not v.isfinite().all()]
    if faults:
        more = f" and {len(faults) - MAX_NAMES} more" if len(faults) > MAX_NAMES else ""
        found = f"{'; '.join(faults[:MAX_NAMES])}{more}"
        raise CheckpointError(f"{path}: expected the weights of this network, found others: {found}")
