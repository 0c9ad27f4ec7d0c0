"""Parts by name: the only way from a YAML file to code."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, TypeVar

T = TypeVar("T", bound=Callable[..., Any])


class UnknownNameError(KeyError):
    """A name, or an option of a part, that nobody registered."""

    def __str__(self) -> str:
        return str(self.args[0])


def unknown_name(what: str, name: str, known: list[str]) -> UnknownNameError:
    """Build the error for a name that is not among ``known``, with the closest match."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return UnknownNameError(f"unknown {what} {name!r}{hint} Known: {', '.join(sorted(known)) or 'none'}")


unknown = unknown_name  # the former name


class Registry:
    """Maps explicit names to the parts of one kind.

    The package that holds the parts is imported on the first look-up, so naming a registry costs nothing.
    Other distributions register through the entry point group ``diffad.<plural>``.

    Args:
        kind: What the parts are, in the singular ("noise").
        package: Module whose import registers ours.
        plural: What several are called, where it is not the kind with an s.
    """

    def __init__(self, kind: str, package: str, plural: str | None = None) -> None:
        self.kind = kind
        self.plural = plural or f"{kind}s"
        self._package = package
        self._parts: dict[str, Callable[..., Any]] = {}
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return the decorator that registers a class or factory as ``name``.

        Raises:
            ValueError: If the name is taken.
        """

        def add(part: T) -> T:
            if name in self._parts:
                raise ValueError(f"{self.kind} {name!r} is registered already, by {self._parts[name]!r}")
            self._parts[name] = part
            return part

        return add

    def __getitem__(self, name: str) -> Callable[..., Any]:
        self._load()
        if name not in self._parts:
            raise unknown_name(self.kind, name, list(self._parts))
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._parts))

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._parts

    def build(self, name: str, **options: Any) -> Any:
        """Build the part ``name`` with ``options``.

        Raises:
            UnknownNameError: If the name or an option is unknown.
        """
        part = self[name]
        parameters = inspect.signature(part).parameters
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
            for option in options:
                if option not in parameters:
                    raise unknown_name(f"option of {self.kind} {name!r}:", option, list(parameters))
        return part(**options)

    def ready(self, part: Any, what: str | None = None) -> Any:
        """Build a part that another part holds; one that is ready passes.

        Args:
            part: A mapping of its ``name`` and options, or a ready part.
            what: What a message calls it, such as "an inner sampler"; none takes the kind.

        Raises:
            ValueError: If a mapping has no name.
            UnknownNameError: If the name or an option is unknown.
        """
        if not isinstance(part, Mapping):
            return part
        if "name" not in part:
            raise ValueError(f"expected {what or f'a {self.kind}'} with a name, got {dict(part)}")
        return self.build(**part)

    def _load(self) -> None:
        if self._loaded:
            return
        importlib.import_module(self._package)
        self._loaded = True
        for entry in entry_points(group=f"diffad.{self.plural}"):
            self.register(entry.name)(entry.load())


NOISES = Registry("noise", "diffad.noise")
SAMPLERS = Registry("sampler", "diffad.samplers")
GUIDANCES = Registry("guidance", "diffad.guidance")
SALIENCIES = Registry("saliency", "diffad.saliency", plural="saliencies")
SCORES = Registry("score", "diffad.score")
MODELS = Registry("model", "diffad.models")
DATASETS = Registry("dataset", "diffad.data")
LAYOUTS = Registry("layout", "diffad.data.layouts")
PROTOCOLS = Registry("protocol", "diffad.evaluation.protocols")
VIEWS = Registry("view", "diffad.report.notebook")

REGISTRIES = {
    registry.plural: registry
    for registry in (NOISES, SAMPLERS, GUIDANCES, SALIENCIES, SCORES, MODELS, DATASETS, LAYOUTS, PROTOCOLS)
}
"""The registries that others add to, by what their parts are called."""
