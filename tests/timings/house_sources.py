"""The files of the package, and what stands in them: functions, bindings, classes, imports."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import UnionType

from tests.timings.house_imports import imports

PACKAGE = "diffad"
DATA = ("configs",)
Function = ast.FunctionDef | ast.AsyncFunctionDef
Place = tuple[str, str]
"""A name, and the file and line it stands at."""


@dataclass(frozen=True)
class Source:
    """One file of the package.

    Args:
        path: Path from the root, through the links.
        text: What it says.
    """

    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @property
    def module(self) -> str:
        """Dotted name of the module; that of the package for an ``__init__.py``."""
        return ".".join(self.path.with_suffix("").parts).removesuffix(".__init__")

    @property
    def lines(self) -> int:
        """Number of lines."""
        return len(self.text.splitlines())

    @cached_property
    def functions(self) -> list[Function]:
        """All functions and methods, inner ones too."""
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]

    def place(self, node: ast.AST) -> str:
        """Return file and line of a node."""
        return f"{self.path}:{getattr(node, 'lineno', 0)}"


def read_sources(root: Path) -> list[Source]:
    """Read the package, its links followed."""
    paths = [p for top in [root / PACKAGE, *_folders(root)] for p in top.rglob("*.py")]
    unique = {p.relative_to(root) for p in paths if not set(DATA) & set(p.relative_to(root).parts)}
    return [Source(path, (root / path).read_text(encoding="utf-8")) for path in sorted(unique)]


def _folders(root: Path) -> list[Path]:
    return sorted(
        p for p in (root / PACKAGE).iterdir() if p.is_dir() and p.name not in ("__pycache__", *DATA)
    )


def body_lines(function: Function) -> int:
    """Count the lines of a body, from its first statement after the docstring to its last."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def graph(sources: list[Source], *, deep: bool, typing: bool = False) -> dict[str, set[str]]:
    """Return who imports whom; see ``house_imports.imports``."""
    packages = {f"{s.module}.__init__" for s in sources if s.path.name == "__init__.py"}
    known = {s.module for s in sources} | packages
    return {s.module: imports(s.tree, s.module, known, deep=deep, typing=typing) for s in sources}


def values(source: Source) -> list[Place]:
    """Name every binding of a value: variables, loop variables, fields and arguments; no import.

    ``self``, ``cls`` and ``_`` are left out, and names with two underscores in front.
    """
    nodes = [node for node in ast.walk(source.tree) if isinstance(node, ast.Name | ast.arg)]
    arguments = [(n.arg, n) for n in nodes if isinstance(n, ast.arg)]
    variables = [(n.id, n) for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    named = [(name, source.place(node)) for name, node in [*arguments, *variables]]
    return [(n, place) for n, place in named if n not in ("self", "cls", "_") and not n.startswith("__")]


def functions(source: Source) -> list[Place]:
    """Name every function and method that we named: none with two underscores in front."""
    return [(f.name, source.place(f)) for f in source.functions if not f.name.startswith("__")]


def repeated_names(sources: list[Source], kind: type | UnionType, public: bool) -> dict[str, list[str]]:
    """Return top-level names of a kind (class or function) that stand in two files or more, with places."""
    places: dict[str, dict[Path, str]] = defaultdict(dict)
    for source in sources:
        for node in source.tree.body:
            name = str(getattr(node, "name", ""))
            if isinstance(node, kind) and name.startswith("_") != public:
                places[name].setdefault(source.path, source.place(node))
    return {name: [*files.values()] for name, files in sorted(places.items()) if len(files) > 1}


def public_functions(node: ast.Module | ast.ClassDef) -> Iterator[Function]:
    """Find public functions and methods of public classes, but no inner functions."""
    for child in node.body:
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from public_functions(child)
        elif isinstance(child, Function) and not child.name.startswith("_"):
            yield child


def arguments(function: Function) -> list[ast.arg]:
    """Return the arguments of a function but for self and cls."""
    a = function.args
    every = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    return [arg for arg in every if arg.arg not in ("self", "cls")]
