"""Small faults: every single place of a module where one token can be put wrong.

Comparisons turn round or move by one, + becomes -, * becomes /, numbers grow by 1, signs and ``not`` go,
flags turn over, ``and`` becomes ``or``, and min becomes max. Annotations and f-strings are left alone.
A fault changes the text in exactly one place.
"""

import ast
import re
import sys
from collections import Counter
from dataclasses import dataclass

COMPARISONS = {
    ast.Lt: ("<", "<=", ">="),
    ast.LtE: ("<=", "<", ">"),
    ast.Gt: (">", ">=", "<="),
    ast.GtE: (">=", ">", "<"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
ARITHMETIC = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
UNARY = {ast.USub: ("-", "sign"), ast.Not: ("not", "not"), ast.Invert: ("~", "not")}
PAIRS = "min max,amin amax,minimum maximum,argmin argmax,floor ceil,any all,mean sum,cummin cummax,sin cos"
SWAPS = {a: b for pair in PAIRS.split(",") for a, b in (pair.split(), pair.split()[::-1])}
SCOPES = (ast.FunctionDef, ast.ClassDef)
LIBRARIES = ("np", "torch", "math")
DIMENSIONS = ("dim", "dims", "axis", "axes", "ndim")


@dataclass(frozen=True)
class Fault:
    """Text ``start:end`` (bytes) of the file at ``path`` replaced by ``text``.

    ``ranges`` are lines (first, last) from the statement outwards: tests that run one of them can notice it.
    What is ``loaded`` runs when the module is imported.
    """

    path: str
    line: int
    function: str
    kind: str
    start: int
    end: int
    text: str
    old: str
    new: str
    ranges: tuple[tuple[int, int], ...]
    loaded: bool
    number: int = 0

    @property
    def key(self):
        """What the fault is, wherever its lines have moved and whichever folder holds its file."""
        name = self.path.rsplit("/", 1)[-1]
        return f"{name} | {self.function} | {self.old} -> {self.new} | {self.number}"

    def apply(self, source):
        """Return ``source`` (bytes) with the fault in it."""
        return source[: self.start] + self.text.encode() + source[self.end :]


def faults_of(path, source):
    """List the faults that the module ``source`` (bytes) can have, in the order of its text."""
    finder = _Finder(path, source)
    finder.walk(ast.parse(source), (), "", ((1, sys.maxsize),))
    seen, numbered = Counter(), []
    for fault in sorted(finder.faults, key=lambda f: (f.start, f.text)):
        numbered.append(Fault(**{**vars(fault), "number": seen[fault.key]}))
        seen[fault.key] += 1
    return numbered


class _Finder:
    def __init__(self, path, source):
        self.path, self.source, self.faults = path, source, []
        lengths = [len(line) for line in source.splitlines(keepends=True)]
        self.starts = [sum(lengths[:i]) for i in range(len(lengths) + 1)]

    def walk(self, node, parents, function, ranges):
        if isinstance(node, ast.JoinedStr):
            return
        scope, loaded = isinstance(node, SCOPES), not any(isinstance(p, ast.FunctionDef) for p in parents)
        if scope or (isinstance(node, ast.stmt) and not loaded):
            ranges = (_own_lines(node), *ranges)
        for kind, *change in self._changes(node, parents):
            line = self.source.count(b"\n", 0, change[0]) + 1
            code = self._around(node, parents, *change)
            self.faults.append(Fault(self.path, line, function, kind, *change, *code, ranges, loaded))
        inner = f"{function}.{node.name}".lstrip(".") if scope else function
        for child in _children(node):
            self.walk(child, (*parents, node), inner, ranges)

    def _changes(self, node, parents):
        start = self._start(node) if hasattr(node, "lineno") else 0
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            for left, op, right in zip(operands, node.ops, operands[1:], strict=False):
                yield from self._between("comparison", left, right, COMPARISONS[type(op)])
        elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
            yield from self._between("arithmetic", node.left, node.right, ARITHMETIC[type(node.op)])
        elif isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
            old, new = ARITHMETIC[type(node.op)]
            yield from self._between("arithmetic", node.target, node.value, (f"{old}=", f"{new}="))
        elif isinstance(node, ast.BoolOp):
            words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield from self._between("and/or", left, right, words)
        elif isinstance(node, ast.UnaryOp) and type(node.op) in UNARY:
            word, kind = UNARY[type(node.op)]
            yield kind, start, start + len(word), ""
        elif isinstance(node, ast.Constant):
            yield from self._constant(node, parents)
        else:
            yield from self._swap(node, parents)

    def _constant(self, node, parents):
        start, end, value = self._start(node), self._end(node), node.value
        if isinstance(value, bool):
            yield "flag", start, end, str(not value)
        elif isinstance(value, int | float):
            named = next((p.arg for p in parents[-2:] if isinstance(p, ast.keyword)), None)
            yield "dimension" if named in DIMENSIONS else "constant", start, end, repr(value + 1)
        elif isinstance(value, str) and value in SWAPS:
            yield "min/max", start, end, f'"{SWAPS[value]}"'

    def _swap(self, node, parents):
        """Call the opposite function, if there is one of that name."""
        if isinstance(node, ast.Name) and node.id in ("min", "max", "any", "all"):
            yield "min/max", self._start(node), self._end(node), SWAPS[node.id]
        elif isinstance(node, ast.Attribute) and node.attr in SWAPS:
            called = isinstance(parents[-1], ast.Call) and parents[-1].func is node
            if called or (isinstance(node.value, ast.Name) and node.value.id in LIBRARIES):
                yield "min/max", self._end(node) - len(node.attr), self._end(node), SWAPS[node.attr]
        elif isinstance(node, ast.keyword) and node.arg in SWAPS:
            start = self._start(node)
            yield "min/max", start, start + len(node.arg), SWAPS[node.arg]

    def _between(self, kind, left, right, words):
        """Put each other word for the first, which stands between two operands."""
        at, end = self._end(left), self._start(right)
        gap = re.sub(rb"#[^\n]*", lambda m: b" " * len(m[0]), self.source[at:end])
        place = re.search(rb"\s+".join(re.escape(w.encode()) for w in words[0].split()), gap)
        for word in words[1:]:
            yield kind, at + place.start(), at + place.end(), word

    def _around(self, node, parents, start, end, text):
        """The code of the smallest piece that shows what is changed, before and after."""
        below, piece, *outer = [node, *parents[::-1]]
        if not isinstance(node, ast.Constant | ast.Name | ast.UnaryOp):
            piece = node
        elif isinstance(piece, ast.UnaryOp):
            below, piece = piece, outer[0]
        if isinstance(piece, ast.arguments):
            first, last = self._start(_argument(piece, below)), self._end(below)
        else:
            piece = below if not hasattr(piece, "lineno") or hasattr(piece, "body") else piece
            first, last = self._start(piece), self._end(piece)
        before, after = self.source[first:start], self.source[end:last]
        texts = (before + t + after for t in (self.source[start:end], text.encode()))
        return tuple(" ".join(t.decode().split()) for t in texts)

    def _start(self, node):
        return self.starts[node.lineno - 1] + node.col_offset

    def _end(self, node):
        return self.starts[node.end_lineno - 1] + node.end_col_offset


def _children(node):
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns", "ctx"):
            yield from (c for c in (value if isinstance(value, list) else [value]) if isinstance(c, ast.AST))


def _argument(arguments, default):
    """The argument that has this default."""
    positional = [*arguments.posonlyargs, *arguments.args][::-1]
    pairs = [*zip(positional, arguments.defaults[::-1], strict=False)]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return next(argument for argument, value in pairs if value is default)


def _own_lines(node):
    """Lines of a statement without those of the statements inside; of a function or class, its body."""
    if isinstance(node, SCOPES):
        return node.body[0].lineno, node.end_lineno
    return node.lineno, node.body[0].lineno - 1 if hasattr(node, "body") else node.end_lineno
