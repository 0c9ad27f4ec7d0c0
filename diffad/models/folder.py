"""The folder of a network, read before anything of it is built: config.json and weights that fit it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from diffad.io.atomic import write_text
from diffad.io.files import FileError, open_regular, read_regular
from diffad.io.wording import BoundedError, shorten
from diffad.ranges import check_finite_options, check_options

MAX_JSON = 16_000_000
"""Bytes of a JSON file of a model."""
FLOATS = ("F16", "BF16", "F32", "F64")
"""Types of weights on disk."""


class ModelError(BoundedError):
    """A model that cannot be used; the message names it and what is wrong with it."""


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a JSON mapping.

    Raises:
        ModelError: If there is none.
    """
    try:
        values = json.loads(read_regular(path, MAX_JSON))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: expected a JSON mapping, found none ({shorten(error)})") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path}: expected a JSON mapping, found {type(values).__name__}")
    return values


def forget_path(path: Path) -> None:
    """Take the place that a model was loaded from, which may name a person, out of its JSON file.

    Raises:
        ModelError: If there is no such file.
        OSError: If it cannot be written.
    """
    values = read_mapping(path)
    if values.pop("_name_or_path", None) is not None:
        write_text(path, json.dumps(values, indent=2, sort_keys=True) + "\n")


def pick_options(path: Path, values: Mapping[str, Any], build: Any) -> dict[str, Any]:
    """Return what a stored config hands to ``build``: all but the notes of diffusers.

    Args:
        path: File of the config.
        values: What it holds.
        build: Class that it is for.

    Raises:
        ModelError: If an option is unknown, missing, of another type or beyond its range.
    """
    options = {k: v for k, v in values.items() if not k.startswith("_")}
    parameters = {k: p for k, p in inspect.signature(build).parameters.items() if k != "module"}
    if odd := sorted(options.keys() - parameters.keys()):
        raise ModelError(f"{path}: expected options of {build.__name__}, found {shorten(odd[0])!r}")
    needed = [k for k, p in parameters.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    if absent := [k for k in needed if k not in options]:
        raise ModelError(f"{path}: expected all options of {build.__name__}, found no {absent[0]!r}")
    try:
        check_options(build, build.__name__, options)
        check_finite_options(build.__name__, options)
    except ValueError as error:
        raise ModelError(f"{path}: {error}") from error
    return options


def check_network_folder(folder: Path, kind: Any) -> dict[str, Any]:
    """Refuse the folder of a network whose config or weights do not fit its class; nothing is allocated.

    Args:
        folder: Folder with config.json and weights.
        kind: Class of the network.

    Returns:
        Its options.

    Raises:
        ModelError: With the file, what was expected, and what was found.
    """
    path = folder / "config.json"
    options = pick_options(path, read_mapping(path), kind)
    if kind.__module__.partition(".")[0] != "diffad" or "part" in options:
        return options  # a network of others: it need not build without memory
    try:
        with torch.device("meta"):
            state = kind(**options).state_dict()
    except Exception as error:  # whatever a constructor says of options from a stranger
        reason = f"{type(error).__name__}: {shorten(error)}"
        raise ModelError(f"{path}: expected options of {kind.__name__} that fit, found {reason}") from error
    floats = {name for name, value in state.items() if value.is_floating_point()}
    _check_shapes(folder, {name: tuple(value.shape) for name, value in state.items()}, floats)
    return options


def _check_shapes(folder: Path, expected: dict[str, tuple[int, ...]], floats: set[str]) -> None:
    weights: dict[str, tuple[tuple[int, ...], str]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights |= _read_header(path)
    if not weights:
        raise ModelError(f"{folder}: expected weights as .safetensors, found none")
    for name in sorted(expected.keys() ^ weights.keys()):
        problem = "is missing" if name in expected else "belongs to no layer"
        raise ModelError(
            f"{folder}: expected weights of this architecture, found others: {shorten(name)} {problem}"
        )
    for name, (shape, dtype) in weights.items():
        if shape != expected[name]:
            raise ModelError(f"{folder}: expected {name} of shape {expected[name]}, found {shorten(shape)}")
        if name in floats and dtype not in FLOATS:
            raise ModelError(f"{folder}: expected {name} of floating point, found {dtype}")


def _read_header(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    try:
        open_regular(path, "whole weights").close()
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            return {name: (tuple(s.get_shape()), s.get_dtype()) for name, s in slices.items()}
    except FileError as error:
        raise ModelError(str(error)) from error
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{path}: expected whole weights, found none ({shorten(error)})") from error
