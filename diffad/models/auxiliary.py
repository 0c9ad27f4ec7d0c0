"""Trained networks that a part needs beside the one that denoises: a classifier, an autoencoder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torch import nn

from diffad.capabilities import attach_networks as attach_networks
from diffad.io.digests import find_damage
from diffad.io.wording import shorten
from diffad.models.folder import ModelError, check_network_folder, read_mapping
from diffad.models.pretrained import (
    UNKNOWN_PART,
    check_weights,
    check_wrapped,
    incompatible_model,
)
from diffad.models.wrapped import WrappedNetwork, list_network_classes

Source = nn.Module | str | Path | None
"""A network, the folder it is in, or none for the pipeline's."""


def require_network(source: Source, name: str, whose: str) -> Any:
    """Return a network that was given, by itself or by its folder.

    Args:
        source: What was given.
        name: What the network is, such as "classifier".
        whose: Part that needs it, for the message.

    Raises:
        ValueError: If none was given.
        ModelError: If the folder holds no registered network.
    """
    if source is None:
        raise ValueError(
            f"{whose} expected a trained {name}, got none: give option {name}=FOLDER, or a pipeline "
            f"that has one, as networks.{name}=FOLDER in training makes it"
        )
    return source if isinstance(source, nn.Module) else load_network(source)


def load_network(folder: str | Path) -> nn.Module:
    """Load a registered network from its folder, frozen.

    Raises:
        ModelError: If there is no folder, its class is not registered, or its weights do not fit.
    """
    place = Path(os.path.expanduser(folder))  # noqa: PTH111 (an unknown user is no error)
    kind = _read_class(place)
    check_network_folder(place, kind)
    if damage := find_damage(place):
        raise ModelError(f"{place}: expected the files as they were written, found that {damage}")
    try:
        network: nn.Module = kind.from_pretrained(str(place), use_safetensors=True)
    except Exception as error:  # whatever diffusers says of files from a stranger
        raise incompatible_model(place, error) from error
    check_weights(place, network)
    return network.eval().requires_grad_(False)


def _read_class(folder: Path) -> Any:
    try:
        name = read_mapping(folder / "config.json")["_class_name"]
    except (ValueError, KeyError) as error:
        raise ModelError(
            f"{folder}: expected the folder of a network with config.json, found none ({error})"
        ) from error
    classes = {kind.__name__: kind for kind in list_network_classes()}
    if not isinstance(name, str) or name not in classes:
        raise ModelError(
            f"{folder}: expected a registered network, found {shorten(repr(name))}, {UNKNOWN_PART}"
        )
    if name == WrappedNetwork.__name__:
        check_wrapped(folder)
    return classes[name]
