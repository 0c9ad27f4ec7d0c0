"""Frozen dataclasses to plain dicts and back; a typo is an error with a suggestion."""

from __future__ import annotations

import copy
import dataclasses
import types
import typing
from typing import Any, TypeVar

from diffad.io.wording import BoundedError, shorten
from diffad.ranges import check_values
from diffad.registry import unknown_name

T = TypeVar("T")
PartSpec = dict[str, Any]
"""A part by name with its options: ``{"name": "simplex", "octaves": 6}``."""


class ConfigError(BoundedError):
    """A configuration that cannot be used; the message says which key."""


def expect(ok: bool, key: str, expectation: str, value: object) -> None:
    """Refuse the value of a key.

    Raises:
        ConfigError: Unless ``ok``.
    """
    if not ok:
        raise ConfigError(f"config key {key}: expected {expectation}, got {shorten(repr(value))}")


def check_range(section: Any, prefix: str, interval: str, *names: str) -> None:
    """Check numbers of a section against an interval such as "[0, 1)"; what is left out (None) passes.

    Raises:
        ConfigError: With the first number outside.
    """
    low, high = map(float, interval[1:-1].replace("_", "").split(","))
    for name in names:
        value = getattr(section, name)
        if value is not None:
            above = value > low if interval[0] == "(" else value >= low
            below = value < high if interval[-1] == ")" else value <= high
            expect(above and below, f"{prefix}.{name}", f"a number in {interval}", value)


def check_choice(section: Any, prefix: str, name: str, *choices: str) -> None:
    """Check one value of a section against its choices.

    Raises:
        ConfigError: If it is none of them.
    """
    value = getattr(section, name)
    expect(value in choices, f"{prefix}.{name}", f"one of {', '.join(choices)}", value)


def to_dict(config: Any) -> dict[str, Any]:
    """Turn a dataclass into plain dicts and lists, as YAML and JSON hold them."""
    return {f.name: _to_plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def _to_plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    return [_to_plain(v) for v in value] if isinstance(value, tuple) else copy.deepcopy(value)


def from_dict(kind: type[T], values: dict[str, Any], path: str = "") -> T:
    """Build the dataclass ``kind`` from plain values; ``path`` leads to it, for messages.

    Raises:
        ConfigError: If a key is unknown or missing, or a value has the wrong type or is out of range.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"config key {path.rstrip('.')}: expected a mapping, got {shorten(repr(values))}")
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise ConfigError(str(unknown_name("config key", f"{path}{key}", [f"{path}{k}" for k in fields])))
    for key, f in fields.items():
        has_default = any(d is not dataclasses.MISSING for d in (f.default, f.default_factory))
        if not has_default and key not in values:
            raise ConfigError(f"config key {path}{key} is missing")
    return kind(**{k: _convert(hints[k], v, f"{path}{k}") for k, v in values.items()})


def _convert(hint: Any, value: Any, path: str) -> Any:
    """Check ``value`` against a type hint, turning lists into tuples and ints into floats."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in args:
            return None
        return _convert(next(a for a in args if a is not type(None)), value, path)
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type[Any], hint), value, f"{path}.")
    if origin is tuple:
        return _convert_tuple(args, value, path)
    if origin is dict:
        return _convert_part(value, path) if args[1] is Any else _convert_values(args[1], value, path)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    fits = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    expect(fits, path, hint.__name__, value)
    return value


def _convert_tuple(args: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
    expect(isinstance(value, list | tuple), path, "a list", value)
    expect(args[-1] is Ellipsis or len(value) == len(args), path, f"{len(args)} values", value)
    return tuple(_convert(args[0], v, path) for v in value)


def _convert_values(hint: Any, value: Any, path: str) -> dict[str, Any]:
    is_mapping = isinstance(value, dict) and all(isinstance(key, str) for key in value)
    expect(is_mapping, path, "a mapping of names", value)
    return {key: _convert(hint, inner, f"{path}.{key}") for key, inner in value.items()}


def _convert_part(value: Any, path: str) -> PartSpec:
    has_name = isinstance(value, dict) and isinstance(value.get("name"), str)
    expect(has_name, path, "a mapping with a 'name'", value)
    _check_plain(value, path)
    _check_ranges(value, path)
    part: PartSpec = copy.deepcopy(value)
    return part


def _check_ranges(value: PartSpec, path: str) -> None:
    try:
        check_values(f"config key {path}", value)
    except ValueError as error:
        raise ConfigError(error) from error


def _check_plain(value: Any, path: str) -> None:
    """Refuse what JSON cannot hold, such as the dates of YAML: it would be lost on the way to disk."""
    if isinstance(value, dict):
        for key, inner in value.items():
            expect(isinstance(key, str), path, "options named by text", key)
            _check_plain(inner, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_plain(inner, path)
    else:
        expect(value is None or isinstance(value, bool | int | float | str), path, "a plain value", value)
