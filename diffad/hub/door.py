"""diffusers knows our pipeline by name once diffad is imported, and neither is loaded before its time."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

CLASSES = {"AnomalyPipeline": "diffad.pipeline"}
"""Classes that ``model_index.json`` may name, and their modules."""
NETWORKS = ("diffad.models.", "diffad.detectors.")
"""Where the classes of its networks lie."""


def announce_classes() -> None:
    """Let ``diffusers.DiffusionPipeline`` find our classes by name, now or once diffusers is imported."""
    if "diffusers" in sys.modules:
        open_door(sys.modules["diffusers"])
    elif not any(isinstance(finder, DoorFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, DoorFinder())


def open_door(diffusers: ModuleType) -> None:
    """Give diffusers our classes, and its pipelines our modules of networks; each is imported on demand.

    Without the second, a repository of the hub is taken for one that lacks the code of its network.
    """
    vars(diffusers).setdefault("__getattr__", partial(_get_class, diffusers.__name__))
    pipelines = importlib.import_module("diffusers.pipelines")
    vars(pipelines).setdefault("__getattr__", partial(_get_networks, pipelines.__name__))


def _get_class(module: str, name: str) -> Any:
    if name not in CLASSES:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    return getattr(importlib.import_module(CLASSES[name]), name)


def _get_networks(module: str, name: str) -> ModuleType:
    if not name.startswith(NETWORKS) or importlib.util.find_spec(name) is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    return importlib.import_module(name)


class DoorFinder(MetaPathFinder):
    """Waits for the import of diffusers, opens the door after it, and goes."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the others find of diffusers, and have the door opened after its import."""
        if fullname != "diffusers" or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            exec_module = spec.loader.exec_module

            def exec_and_open(module: ModuleType) -> None:
                exec_module(module)
                open_door(sys.modules.get(fullname, module))  # diffusers puts another object in its place

            spec.loader.exec_module = exec_and_open  # type: ignore[method-assign]
        return spec
