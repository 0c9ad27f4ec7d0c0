"""Models that come with the package, found by name; and a look at a folder before it is loaded."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from diffad.config.training import AUXILIARY_NETWORKS as AUXILIARY_NETWORKS
from diffad.io.wording import MAX_LINE, shorten
from diffad.models.folder import ModelError as ModelError
from diffad.models.folder import read_mapping
from diffad.models.wrapped import WrappedNetwork, list_network_classes
from diffad.registry import MODELS, UnknownNameError, suggest_name

NO_INDEX = "a model_index.json without network and scheduler"
UNKNOWN_PART = "which is not a registered part; a part of your own comes with --plugin FILE"


def list_shipped_models() -> dict[str, Path]:
    """Return the folders of the models that come with the package, by name."""
    root = Path(str(resources.files("diffad.models"))) / "shipped"
    return {p.name: p for p in sorted(root.glob("*")) if (p / "model_index.json").is_file()}


def locate_model(name: str | Path) -> str:
    """Find a model: a folder, a shipped name, or (left to diffusers) a hub id.

    Raises:
        OSError: If it is neither a shipped name nor a folder, and cannot be a hub id.
    """
    folder = Path(os.path.expanduser(name))  # noqa: PTH111 (an unknown user is no error)
    if folder.is_dir():
        if not (folder / "model_index.json").is_file():
            raise FileNotFoundError(f"{folder}: expected a pipeline folder with model_index.json, found none")
        return str(folder)
    models = list_shipped_models()
    if str(name) in models:
        return str(models[str(name)])
    if str(name).count("/") != 1 or str(name).startswith((".", "/", "~")):
        raise FileNotFoundError(
            f"{name}: no such model folder; shipped models: {', '.join(models) or 'none'}"
            f"{suggest_name(str(name), models)}"
        )
    return str(name)


def check_folder(folder: Path) -> None:
    """Refuse a folder whose index names classes other than registered networks and diffusers schedulers.

    Raises:
        ModelError: With the class that is not allowed, or if the index cannot be read.
    """
    try:
        index = read_mapping(folder / "model_index.json")
    except (ValueError, TypeError) as error:
        raise incompatible_model(folder, f"{NO_INDEX} ({error})") from error
    for part, kind in check_classes(index, folder).items():
        if kind[1] == WrappedNetwork.__name__:
            check_wrapped(folder / part)


def check_classes(index: Mapping[str, Any], name: object) -> dict[str, tuple[Any, ...]]:
    """Refuse an index that names classes other than registered networks and diffusers schedulers.

    Args:
        index: What ``model_index.json`` holds.
        name: What messages call it.

    Returns:
        Module and class of every network, by part.

    Raises:
        ModelError: With the class that is not allowed.
    """
    try:
        parts = {part: tuple(index[part]) for part in ("network", "scheduler")}
        auxiliary = {part: tuple(index[part]) for part in AUXILIARY_NETWORKS if any(index.get(part) or ())}
        words = [word for kind in (*parts.values(), *auxiliary.values()) for word in kind]
        if not all(isinstance(word, str | None) for word in words):
            raise TypeError("classes that are no names")
    except (ValueError, KeyError, TypeError) as error:
        raise incompatible_model(name, f"{NO_INDEX} ({error})") from error
    classes = {(kind.__module__, kind.__name__) for kind in list_network_classes()}
    networks = {"network": parts["network"], **auxiliary}
    for part, kind in networks.items():
        if kind not in classes:
            raise incompatible_model(name, f"{part} {'.'.join(map(str, kind))}, {UNKNOWN_PART}")
    library, scheduler = (*parts["scheduler"], None, None)[:2]
    if library != "diffusers" or not str(scheduler).endswith("Scheduler"):
        raise incompatible_model(name, f"scheduler {library}.{scheduler}, which is not one of diffusers")
    return networks


def check_wrapped(folder: Path) -> None:
    """Refuse the folder of a wrapped network whose module nobody registered; see ``WrappedNetwork``.

    Raises:
        ModelError: With the name of the module.
    """
    try:
        part = read_mapping(folder / "config.json")["part"]
    except (ValueError, KeyError) as error:
        raise incompatible_model(folder, f"a config.json without the name of a network ({error})") from error
    if not isinstance(part, str) or part not in MODELS:
        raise incompatible_model(folder, f"network {shorten(repr(part))}, {UNKNOWN_PART}")


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Hide the progress bars that diffusers and transformers draw while loading, except on a terminal."""
    from diffusers.utils import logging

    loggers = [logging, sys.modules.get("transformers.utils.logging")]
    shown = [bars for bars in loggers if bars is not None and bars.is_progress_bar_enabled()]
    silent = [] if sys.stderr.isatty() else shown
    for bars in silent:
        bars.disable_progress_bar()
    try:
        yield
    finally:
        for bars in silent:
            bars.enable_progress_bar()


def check_weights(folder: Path, network: Any) -> None:
    """Refuse weights of another architecture, which diffusers loads as far as names and shapes go.

    Args:
        folder: Folder of the weights.
        network: What they were loaded into.

    Raises:
        ModelError: With the first weight that is not finite, missing or left over.
    """
    from safetensors import safe_open

    for name, weights in network.state_dict().items():
        if not weights.isfinite().all():
            raise ModelError(f"{folder}: expected finite weights, found others in {name}")
    network_names, file_names = set(network.state_dict()), set()
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            file_names |= set(file.keys())
    if odd_names := sorted(network_names ^ file_names):
        problem = "is missing" if odd_names[0] in network_names else "belongs to no layer"
        raise ModelError(
            f"{folder}: expected weights of this architecture, found others: {odd_names[0]} {problem}"
        )


def incompatible_model(name: object, problem: object) -> ModelError:
    """Build the error for a model whose files do not fit together."""
    text = shorten(" ".join(str(problem).split()), MAX_LINE)
    text = text if isinstance(problem, UnknownNameError | ModelError) else text.split(". ")[0]
    return ModelError(f"{name}: expected a model whose files fit together, found: {text}")
