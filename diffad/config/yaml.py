"""YAML into plain dicts, and what is laid over them: ``key=value`` assignments and variants."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffad.config.reader import MAX_DEPTH, MAX_SIZE
from diffad.config.reader import parse_yaml as parse_yaml
from diffad.config.schema import ConfigError
from diffad.io.wording import shorten
from diffad.registry import unknown_name


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        ConfigError: If the file is missing, too large, or is not a YAML mapping.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would wait for ever
            raise ConfigError(f"{path}: expected a file, found something else of that name")
        if (size := path.stat().st_size) > MAX_SIZE:
            raise ConfigError(f"{path}: expected YAML of at most {MAX_SIZE} bytes, found {size}")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected YAML, found no text ({error})") from error
    values = parse_yaml(text, str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a YAML mapping, found {type(values).__name__}")
    return values


def override(values: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Return ``values`` with dotted ``key=value`` assignments laid over, values read as YAML.

    Raises:
        ConfigError: If an assignment has no ``=``, is not YAML, or walks into a scalar.
    """
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not all(key.split(".")) or key.count(".") >= MAX_DEPTH:
            raise ConfigError(f"expected key=value, got {shorten(repr(assignment))}")
        values = _assign(values, key.split("."), parse_yaml(text, shorten(assignment)), key)
    return values


def apply_variants(
    values: dict[str, Any], assignments: Sequence[str], source: str
) -> tuple[dict[str, Any], list[str]]:
    """Lay the variants that ``variant=NAME`` asks for over ``values``; return the rest of the assignments.

    A file may hold ``variants: {NAME: {...}}``, each a part of a config that is merged over it, key by key;
    a part by another name replaces the whole part.

    Raises:
        ConfigError: If the file has no variant of that name, or its variants are no mappings.
    """
    variants = values.get("variants") or {}
    if not (isinstance(variants, dict) and all(isinstance(v, dict) for v in variants.values())):
        raise ConfigError(f"{source}: expected variants as mappings by name, found {shorten(repr(variants))}")
    values = {key: value for key, value in values.items() if key != "variants"}
    rest = []
    for assignment in assignments:
        key, _, name = assignment.partition("=")
        if key != "variant":
            rest.append(assignment)
            continue
        if name not in variants:
            raise ConfigError(f"{source}: {unknown_name('variant', name, list(map(str, variants)))}")
        values = merge(values, variants[name])
    return values, rest


def merge(base: Any, over: Any) -> Any:
    """Merge mappings key by key, ``over`` winning; a mapping with another ``name`` replaces the old one."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return copy.deepcopy(over)
    if "name" in base and over.get("name", base["name"]) != base["name"]:
        return copy.deepcopy(over)
    return {**base, **{key: merge(base.get(key), value) for key, value in over.items()}}


def _assign(values: Any, keys: list[str], value: Any, whole: str) -> dict[str, Any]:
    if values is not None and not isinstance(values, dict):
        raise ConfigError(f"cannot set {whole}: {shorten(repr(values))} is not a mapping")
    head, rest = keys[0], keys[1:]
    inner = _assign((values or {}).get(head), rest, value, whole) if rest else value
    return {**(values or {}), head: inner}
