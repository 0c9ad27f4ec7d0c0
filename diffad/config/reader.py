"""YAML text into plain values, within limits: what a stranger wrote must neither hang nor fill the memory."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from diffad.config.schema import ConfigError
from diffad.io.wording import shorten
from diffad.ranges import MAX_INTEGER

MAX_SIZE = 262_144
"""Bytes of a file, or of a value on the command line."""
MAX_NODES = 10_000
"""Keys and values of a document, counted as often as aliases repeat them."""
MAX_DEPTH = 20
"""Mappings and lists inside each other."""
MAX_ALIASES = 100
"""Aliases of a document."""


class _Loader(yaml.SafeLoader):
    """Reads 1e-4 as the number it is (YAML 1.1 wants 1.0e-4), and refuses keys given twice.

    It counts as it reads, so that a document beyond the limits ends before it is built.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._aliases = self._nodes = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        self._depth += 1
        self._aliases += isinstance(event, yaml.AliasEvent)
        self._check(self._depth <= MAX_DEPTH, event, f"more than {MAX_DEPTH} levels")
        self._check(self._aliases <= MAX_ALIASES, event, f"more than {MAX_ALIASES} aliases")
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is not None:
            self._count(node, event)
        return node

    def _count(self, node: yaml.Node, event: yaml.Event) -> None:
        """Count a finished node; one that an alias repeats counts whole again."""
        is_alias = isinstance(event, yaml.AliasEvent)
        self._check(not is_alias or id(node) in self._sizes, event, "an alias inside what it stands for")
        if not is_alias:
            children = [] if isinstance(node, yaml.ScalarNode) else node.value
            nodes = [n for c in children for n in (c if isinstance(c, tuple) else (c,))]
            self._sizes[id(node)] = 1 + sum(self._sizes[id(n)] for n in nodes)
        self._nodes += self._sizes[id(node)] if is_alias else 1
        self._check(self._nodes <= MAX_NODES, event, f"more than {MAX_NODES} keys and values")

    def _check(self, ok: bool, event: yaml.Event, excess: str) -> None:
        if not ok:
            mark: Any = event.start_mark
            raise yaml.MarkedYAMLError(problem=f"found {excess}", problem_mark=mark)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                problem = f"found key {shorten(repr(key))}"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            if key in keys:
                problem = f"found key {shorten(repr(key))} twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
            keys.add(key)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Build a value; one whose tag or digits make none is named by its line."""
        try:
            value = super().construct_object(node, deep)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            problem = f"found {shorten(repr(node.value))}, which is no {node.tag.rpartition(':')[2]}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            problem = f"found a number beyond {MAX_INTEGER}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return value


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def parse_yaml(text: str, what: str) -> Any:
    """Read YAML; ``what`` names it in messages.

    Raises:
        ConfigError: If it is not YAML, or beyond ``MAX_SIZE``, ``MAX_NODES``, ``MAX_DEPTH``, ``MAX_ALIASES``.
    """
    if text.startswith("*"):  # a pattern of names: YAML has no use for an alias here
        return text
    if len(text) > MAX_SIZE:
        raise ConfigError(f"{what}: expected YAML of at most {MAX_SIZE} bytes, found {len(text)} characters")
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError(f"{what}: expected YAML, in line {line} {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{what}: expected YAML, found {' '.join(str(error).split())}") from error
