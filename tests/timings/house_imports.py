"""Who imports whom in the package, and which files form circles."""

from __future__ import annotations

import ast
from collections.abc import Iterator

Graph = dict[str, set[str]]
"""Modules, and what each of them imports of the package."""


def imports(tree: ast.Module, module: str, known: set[str], *, deep: bool, typing: bool) -> set[str]:
    """Return the modules of the package that a module imports, without itself.

    Args:
        tree: What the file says.
        module: Its dotted name; that of a package for an ``__init__.py``.
        known: All modules of the package.
        deep: Count imports inside functions, too.
        typing: Count what stands under ``if TYPE_CHECKING``, too.
    """
    package = module if f"{module}.__init__" in known else module.rpartition(".")[0]
    nodes = _imports_of(tree, deep, typing)
    return {name for node in nodes for name in _targets(node, package, known)} - {module}


def _imports_of(node: ast.AST, deep: bool, typing: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not deep:
            continue
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test) and not typing:
            yield from (n for part in child.orelse for n in _imports_of(part, deep, typing))
        else:
            yield from _imports_of(child, deep, typing)


def _targets(node: ast.Import | ast.ImportFrom, package: str, known: set[str]) -> Iterator[str]:
    """Name the modules that a statement imports: a submodule where there is one, else what holds the name."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in known)
        return
    above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    base = ".".join([*above, *([node.module] if node.module else [])])
    for alias in node.names:
        inner = f"{base}.{alias.name}"
        yield from (name for name in ([inner] if inner in known else [base]) if name in known)


def circles(graph: Graph) -> list[list[str]]:
    """Return the strongly connected components of two or more modules, the largest first."""
    order: list[str] = []
    visited: set[str] = set()
    for start in sorted(graph):
        _append_finished(graph, start, visited, order)
    reverse: Graph = {name: set() for name in graph}
    for name, targets in graph.items():
        for target in targets:
            reverse[target].add(name)
    visited, groups = set(), []
    for start in reversed(order):
        group: list[str] = []
        _append_finished(reverse, start, visited, group)
        groups.append(sorted(group))
    return sorted((g for g in groups if len(g) > 1), key=lambda g: (-len(g), g))


def _append_finished(graph: Graph, start: str, visited: set[str], order: list[str]) -> None:
    """Append what can be reached from a module, each after all that it leads to."""
    if start in visited:
        return
    visited.add(start)
    stack = [(start, iter(sorted(graph[start])))]
    while stack:
        name, targets = stack[-1]
        target = next((t for t in targets if t not in visited), None)
        if target is None:
            order.append(name)
            stack.pop()
        else:
            visited.add(target)
            stack.append((target, iter(sorted(graph[target]))))
