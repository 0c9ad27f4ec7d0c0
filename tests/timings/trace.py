"""Which tests run which lines: every test file once under coverage, kept in ``runs/`` until it changes."""

import ast
import fnmatch
import hashlib
import json
import re
from functools import partial
from pathlib import Path

import coverage
import pytest

from tests.timings.trial import compiles, run_tests, tracked

LIMIT = 1200
COMMON = ("contracts", "oracle", "golden")


def digests(root, modules):
    """Hash each test file with everything that it may stand on; no change, no new trace."""
    files = [n for n in tracked(root) if n.endswith((".py", ".yaml", ".toml")) and "/timings/" not in n]
    tests = [n for n in files if fnmatch.fnmatch(n, "tests/*test_*.py")]
    ground = hashlib.sha256(repr(modules).encode())
    for name in sorted(set(files) - set(tests)):
        if not (root / name).is_symlink():
            ground.update(name.encode() + (root / name).read_bytes())
    return {
        n: hashlib.sha256(ground.digest() + n.encode() + (root / n).read_bytes()).hexdigest() for n in tests
    }


def trace(tree, name, modules):
    """Return the tests of one file with their seconds, outcomes and the lines they ran of each module."""
    return tree.run(partial(_traced, name=name, modules=modules), LIMIT)


def _traced(root, result, *, name, modules):
    include = {str((root / m).resolve()): m for m in modules}
    tracer = coverage.Coverage(data_file=None, config_file=False, include=list(include))
    tracer.start()
    report = run_tests(root, result, [name], plugins=[_Contexts(tracer)])
    tracer.stop()
    data, lines = tracer.get_data(), {}
    for file in data.measured_files():
        for line, contexts in data.contexts_by_lineno(file).items():
            for test in contexts:
                lines.setdefault(test, {}).setdefault(include[file], []).append(line)
    return {**report, "lines": lines}


class _Contexts:
    def __init__(self, tracer):
        self.tracer = tracer

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item):
        self.tracer.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self.tracer.switch_context("")


class Index:
    """Finds the tests that can notice a fault."""

    def __init__(self, root, records):
        self.root, self.seconds, self.lines, self.imports = root, {}, {}, {}
        self.imported, self.failed = {}, []
        for name, record in records.items():
            self._add(name, record)

    def _add(self, name, record):
        for test, entry in record.get("tests", {}).items():
            if entry["outcome"] == "passed":
                self.seconds[test] = entry["seconds"]
            elif entry["outcome"] == "failed":
                self.failed.append(test)
        for test, modules in record.get("lines", {}).items():
            for module, lines in modules.items():
                self.imports.setdefault(module, set()).add(name)
                if test in self.seconds:
                    self.lines.setdefault(module, {})[test] = set(lines)

    def stages(self, fault):
        """Tests that run the faulty lines, then the others of their files, which may share things."""
        ran = self.lines.get(fault.path, {})
        for first, last in fault.ranges:
            direct = {test for test, lines in ran.items() if any(first <= n <= last for n in lines)}
            if direct:
                break
        if not direct or fault.loaded or compiles(self.root / fault.path):
            files = {f for f in self.imports.get(fault.path, ()) if self._rank(fault, f) < 2}
            direct |= {test for test in self.seconds if test.split("::")[0] in files}
        files = {test.split("::")[0] for test in direct}
        others = {test for test in self.seconds if test.split("::")[0] in files} - direct
        return [self._ordered(fault, tests) for tests in (direct, others)]

    def _rank(self, fault, file):
        """0: named after this module or importing it, 1: of its area or of all parts, 2: others."""
        path, parts = Path(fault.path), Path(file).parts
        if path.stem.strip("_") in parts[-1] or self._names(file, path.stem):
            return 0
        area = path.parent.name
        return 1 if area in parts or area in parts[-1] or parts[1] in COMMON else 2

    def _names(self, file, module):
        """Whether a test file names the module where it imports."""
        if file not in self.imported:
            tree = ast.parse((self.root / file).read_text())
            nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
            self.imported[file] = set(re.findall(r"\w+", " ".join(ast.unparse(node) for node in nodes)))
        return module in self.imported[file]

    def _ordered(self, fault, tests):
        """Near tests first, then cheap files first, then cheap tests first."""
        cost = {}
        for test in tests:
            file = test.split("::")[0]
            cost[file] = cost.get(file, 0) + self.seconds[test]

        def key(test):
            file = test.split("::")[0]
            return self._rank(fault, file), cost[file], file, self.seconds[test]

        return sorted(tests, key=key)


def load(path):
    """Read a kept trace; none where there is none."""
    return json.loads(path.read_text()) if path.exists() else None
