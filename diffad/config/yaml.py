"""YAML into plain dicts, and what is laid over them: ``key=value`` assignments and variants."""

from __future__ import annotations

import copy
import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

from diffad.config.schema import ConfigError
from diffad.registry import unknown_name


class _Loader(yaml.SafeLoader):
    """Reads 1e-4 as the number it is (YAML 1.1 wants 1.0e-4), and refuses keys given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(problem=f"found key {key!r} twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def parse_yaml(text: str, what: str) -> Any:
    """Read YAML; ``what`` names it in messages.

    Raises:
        ConfigError: If it is not YAML.
    """
    if text.startswith("*"):  # a pattern of names: YAML has no use for an alias here
        return text
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError(f"{what}: expected YAML, in line {line} {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{what}: expected YAML, found {' '.join(str(error).split())}") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        ConfigError: If the file is missing or is not a YAML mapping.
    """
    try:
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
        if not equals or not all(key.split(".")):
            raise ConfigError(f"expected key=value, got {assignment!r}")
        values = _assign(values, key.split("."), parse_yaml(text, assignment), key)
    return values


def apply_variants(
    values: dict[str, Any], assignments: Sequence[str], source: str
) -> tuple[dict[str, Any], list[str]]:
    """Lay the variants that ``variant=NAME`` asks for over ``values``; return the rest of the assignments.

    A file may hold ``variants: {NAME: {...}}``, each a part of a config that is merged over it, key by key;
    a part by another name replaces the whole part.

    Raises:
        ConfigError: If the file has no variant of that name.
    """
    variants = values.get("variants") or {}
    values = {key: value for key, value in values.items() if key != "variants"}
    rest = []
    for assignment in assignments:
        key, _, name = assignment.partition("=")
        if key != "variant":
            rest.append(assignment)
            continue
        if name not in variants:
            raise ConfigError(f"{source}: {unknown_name('variant', name, list(variants))}")
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
        raise ConfigError(f"cannot set {whole}: {values!r} is not a mapping")
    head, rest = keys[0], keys[1:]
    inner = _assign((values or {}).get(head), rest, value, whole) if rest else value
    return {**(values or {}), head: inner}
