"""Parts by name: the only way from a YAML file to code."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any, TypeVar

from diffad.io.wording import shorten
from diffad.ranges import check_finite_options, check_options

T = TypeVar("T", bound=Callable[..., Any])


class UnknownNameError(KeyError):
    """A name, or an option of a part, that nobody registered."""

    def __str__(self) -> str:
        return str(self.args[0])


def unknown_name(what: str, name: str, names: list[str]) -> UnknownNameError:
    """Build the error for a name that is not among ``names``, with the closest match."""
    text = shorten(name)
    hint = suggest_name(text, names) or "."
    return UnknownNameError(f"unknown {what} {text!r}{hint} Known: {', '.join(sorted(names)) or 'none'}")


def suggest_name(name: str, names: Iterable[str]) -> str:
    """Return the end of a sentence that asks for the name most like one that is unknown; empty for none."""
    close = difflib.get_close_matches(name, [*names], n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


unknown = unknown_name  # the former name


class NameClashError(ValueError):
    """A name that two different parts claim."""


class Registry:
    """Maps explicit names to the parts of one kind.

    The package that holds the parts is imported on the first look-up, so naming a registry costs nothing.
    Plug-ins register by decorator, other distributions also through the entry point group
    ``diffad.<plural>``. A part may come both ways. A name that two different parts claim is an error for who
    asks for it, and for nobody else.

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
        self._rivals: dict[str, Callable[..., Any]] = {}
        self.adapt: Callable[[str, Mapping[str, Any], Any], Any] = lambda name, options, part: part
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return the decorator that registers a class or factory as ``name``."""

        def add(part: T) -> T:
            if name in self._parts and not _is_same(self._parts[name], part):
                self._rivals[name] = part
            else:  # a cell of a notebook that is run again brings a newer copy
                self._parts[name] = part
            return part

        return add

    def __getitem__(self, name: str) -> Callable[..., Any]:
        self._load()
        if name not in self._parts:
            error = unknown_name(self.kind, name, list(self._parts))
            raise UnknownNameError(f"{error}. A part of your own comes with --plugin FILE")
        if name in self._rivals:
            places = " and by ".join(map(_describe_place, (self._parts[name], self._rivals[name])))
            raise NameClashError(f"{self.kind} {name!r} is claimed twice, by {places}; rename one of them")
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._parts))

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._parts

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Forget at the end what is registered inside, as a notebook or a test may want."""
        self._load()
        parts, rivals = dict(self._parts), dict(self._rivals)
        try:
            yield
        finally:
            self._parts, self._rivals = parts, rivals

    def list_registered(self) -> list[tuple[str, Callable[..., Any]]]:
        """Return what has registered so far, with names, without importing anything."""
        return [*self._parts.items(), *self._rivals.items()]

    def build(self, name: str, **options: Any) -> Any:
        """Build the part ``name`` with ``options``.

        Raises:
            UnknownNameError: If the name or an option is unknown.
            ValueError: If an option is of another type, beyond its range, or does not fit; see ``check``.
        """
        self.check(name, options)
        return self.adapt(name, options, self._call(self[name], name, options))

    def check(self, name: str, options: Mapping[str, Any]) -> None:
        """Refuse options before a part is built.

        Raises:
            UnknownNameError: If the name or an option is unknown.
            ValueError: If an option is of another type, or beyond its range (``diffad.ranges``).
        """
        part = self[name]
        parameters = inspect.signature(part).parameters
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
            for option in options:
                if option not in parameters:
                    raise unknown_name(f"option of {self.kind} {name!r}:", option, list(parameters))
        check_options(part, f"{self.kind} {name!r}", options)

    def _call(self, part: Callable[..., Any], name: str, options: dict[str, Any]) -> Any:
        """Build a part; what Python says of options of a wrong kind becomes an error that a user can mend."""
        try:
            built = part(**options)
            check_finite_options(f"{self.kind} {name!r}", options)
            return built
        except UnknownNameError:
            raise
        except (ArithmeticError, LookupError, TypeError, AttributeError, RecursionError) as error:
            reason = f"{type(error).__name__}: {shorten(error)}"
            raise ValueError(
                f"{self.kind} {name!r}: expected options that fit, got {shorten(options)} ({reason})"
            ) from error

    def ready(self, part: Any, what: str | None = None) -> Any:
        """Build a part that another part holds; one that is ready passes.

        Args:
            part: A mapping of its ``name`` and options, or a ready part.
            what: What a message calls it, such as "an inner sampler"; none takes the kind.

        Raises:
            ValueError: If a mapping has no name, or it is a plain value.
            UnknownNameError: If the name or an option is unknown.
        """
        if isinstance(part, str | bytes | int | float | list | tuple):
            raise ValueError(f"expected {what or f'a {self.kind}'} with a name, got {shorten(repr(part))}")
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
            try:
                part = entry.load()
            except Exception as error:  # a package that is broken must not end every command
                source = f"{entry.dist.name if entry.dist else 'a package'} ({entry.value})"
                reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
                what = f"{self.kind} {entry.name!r} of {source}"
                print(f"warning: {what} cannot be loaded: {reason}", file=sys.stderr)
            else:
                self.register(entry.name)(part)


def _is_same(part: Any, other: Any) -> bool:
    """Tell whether two objects are one part: the same object, or two copies of one piece of code."""
    names = [getattr(p, "__qualname__", None) for p in (part, other)]
    modules = [getattr(p, "__module__", None) for p in (part, other)]
    one_place = modules[0] == modules[1] or (_locate_file(part) or 0) == _locate_file(other)
    return part is other or (None not in names and names[0] == names[1] and one_place)


def _locate_file(part: Any) -> str | None:
    return getattr(sys.modules.get(getattr(part, "__module__", "")), "__file__", None)


def _describe_place(part: Any) -> str:
    name = f"{getattr(part, '__module__', '')}.{getattr(part, '__qualname__', repr(part))}"
    file = _locate_file(part)
    return f"{name} ({file})" if file else name


NOISES = Registry("noise", "diffad.noise")
SAMPLERS = Registry("sampler", "diffad.samplers")
GUIDANCES = Registry("guidance", "diffad.guidance")
SALIENCIES = Registry("saliency", "diffad.saliency", plural="saliencies")
SCORES = Registry("score", "diffad.score")
MODELS = Registry("model", "diffad.models")
DETECTORS = Registry("detector", "diffad.detectors")
DATASETS = Registry("dataset", "diffad.data")
CORRUPTIONS = Registry("corruption", "diffad.data.corruptions")
LAYOUTS = Registry("layout", "diffad.data.layouts")
PROTOCOLS = Registry("protocol", "diffad.evaluation.protocols")
VIEWS = Registry("view", "diffad.report.notebook")

REGISTRIES = {
    registry.plural: registry
    for registry in (
        NOISES,
        SAMPLERS,
        GUIDANCES,
        SALIENCIES,
        SCORES,
        MODELS,
        DETECTORS,
        DATASETS,
        CORRUPTIONS,
        LAYOUTS,
        PROTOCOLS,
    )
}
"""The registries that others add to, by what their parts are called."""
