"""Parts from outside the package: Python files and modules that register them when they are imported."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from diffad.io.terminal import format_error, say
from diffad.io.wording import BoundedError
from diffad.registry import REGISTRIES, VIEWS

OPTION = "--plugin"

MODULES: dict[str, ModuleType] = {}
"""The plug-ins of this process, by file or module name, in order."""


class PluginError(BoundedError):
    """A plug-in that cannot be used; the message names it."""


def load_plugins(sources: Iterable[str]) -> None:
    """Import plug-ins, each once a process.

    A plug-in is code: load what a user names, and never what a model or its folder names.

    Args:
        sources: Python files, or names of modules that can be imported.

    Raises:
        PluginError: If there is no such file or module, or it cannot be imported.
    """
    for source in map(resolve_plugin, sources):
        if source not in MODULES:
            parts = _list_foreign_parts()
            module = _import_file(Path(source)) if _is_file(source) else _import_module(source)
            if _list_foreign_parts() == parts and not _owns_part(module.__name__):
                say(f"warning: {source}: registers no part of its own, so it brings no new name")
            MODULES[source] = module


def list_plugins() -> list[str]:
    """Return the plug-ins of this process, as another process has to be told of them."""
    return list(MODULES)


def plugin_arguments() -> list[str]:
    """Return the plug-ins of this process as arguments for another process of diffad."""
    return [word for source in list_plugins() for word in (OPTION, source)]


def resolve_plugin(source: str, folder: Path | None = None) -> str:
    """Return a plug-in as any folder can name it.

    Args:
        source: A Python file, or the name of a module.
        folder: Where a relative file lies; the working directory by default.
    """
    return str(((folder or Path()) / Path(source).expanduser()).resolve()) if _is_file(source) else source


def resolve_plugin_key(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the values of a YAML file with its ``plugins`` as any folder can name them.

    Args:
        values: What the file holds.
        folder: Where it lies.
    """
    sources = values.get("plugins")
    if not isinstance(sources, list):
        return values
    return {**values, "plugins": [resolve_plugin(s, folder) if isinstance(s, str) else s for s in sources]}


def split_plugins(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take plug-ins out of the words of a command line: return them, and the rest.

    Raises:
        PluginError: If the last word is the option alone.
    """
    sources, rest, words = [], [], iter(arguments)
    for word in words:
        option, equals, source = word.partition("=")
        if option != OPTION:
            rest.append(word)
        elif source := source if equals else next(words, ""):
            sources.append(source)
        else:
            raise PluginError(f"{OPTION}: expected a Python file or the name of a module, got nothing")
    return sources, rest


def load_argument_plugins(arguments: Sequence[str]) -> list[str]:
    """Load the plug-ins that a command line names, and return its other words.

    Raises:
        PluginError: If one cannot be used.
    """
    sources, rest = split_plugins(arguments)
    load_plugins(sources)
    return rest


def _is_file(source: str) -> bool:
    return source.endswith(".py") or os.sep in source


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise PluginError(f"{path}: expected a Python file that registers parts, found none")
    name = f"diffad_plugin_{re.sub(r'[^0-9a-zA-Z_]', '_', path.stem)}"
    if name in sys.modules:
        other = sys.modules[name].__file__
        raise PluginError(f"{path}: expected plug-ins of different names, found {other}, too; rename one")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path}: expected a Python file that ends in .py, found another")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _describe_failure(path, error) from error
    return module


def _import_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise _describe_failure(name, error) from error


def _describe_failure(source: object, error: Exception) -> PluginError:
    text = format_error(error)
    kind = type(error).__name__
    reason = text if text.startswith(kind) else f"{kind}: {text}"
    return PluginError(f"{source}: expected a plug-in that can be imported, found {reason}")


def _list_foreign_parts() -> list[Any]:
    """Return what others than this package have registered."""
    parts = [part for r in (*REGISTRIES.values(), VIEWS) for _, part in r.list_registered()]
    return [part for part in parts if _find_package(part) != "diffad"]


def _find_package(part: Any) -> str:
    return str(getattr(part, "__module__", "")).partition(".")[0]


def _owns_part(module: str) -> bool:
    """Tell whether a module that was imported before has registered parts."""
    places = [str(getattr(part, "__module__", "")) for part in _list_foreign_parts()]
    return any(f"{place}.".startswith(f"{module}.") for place in places)
