"""How many small faults do the tests notice? ``python -m tests.timings.mutation [--count 200] [--seed 0]``.

Picks faults by chance over modules, puts each into a copy of the checkout, and runs the tests that execute
its lines, the nearest and cheapest first, until one fails. Which tests those are is traced once and kept in
``runs/mutation``; a test file is traced anew after it, or anything that is no test, has changed. Survivors
that change nothing are listed in ``equivalent.txt``, with reasons, and set aside. Run by hand, from the root
of the checkout; the working tree itself is never touched.
"""

import argparse
import fnmatch
import hashlib
import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tests.timings import worker
from tests.timings.faults import faults_of
from tests.timings.trace import Index, digests, load
from tests.timings.trial import CHECKOUT, preload, tracked

PACKAGES = ("samplers", "noise", "*/denoise", "*/guidance", "*/score", "*/threshold", "*/evaluation/metrics")
FILES = ("step", "postprocess", "detector", "median_filter", "volume", "grid")
MODULES = [f"{p}/*.py" for p in PACKAGES] + [f"*/{f}.py" for f in FILES]
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
KEPT = CHECKOUT / "runs" / "mutation"
NEAR = 4.0
"""Seconds of the nearest tests that are tried before any other."""


def modules_of(patterns):
    """List the modules that match, tests left out."""
    names = [n for n in tracked(CHECKOUT) if n.endswith(".py") and not n.startswith(("tests/", "docs/"))]
    return [n for n in names if any(fnmatch.fnmatch(n, p) for p in patterns)]


def picked(modules, count, seed):
    """Draw faults by chance; a fault keeps its place in the order when files move or others are edited."""
    faults = [f for m in modules for f in faults_of(m, (CHECKOUT / m).read_bytes())]
    drawn = sorted(faults, key=lambda f: hashlib.sha256(f"{seed} {f.key}".encode()).digest())
    return drawn[:count], len(faults)


def equivalents():
    """Read the faults that change nothing: file :: function :: old -> new :: reason.

    An "old -> new" that comes several times in a function ends with its number, as in "a -> b #1".
    """
    lines = [line.strip() for line in EQUIVALENT.read_text().splitlines()] if EQUIVALENT.exists() else []
    return [tuple(part.strip() for part in line.split(" :: ")) for line in lines if line and line[0] != "#"]


def reason(fault, listed):
    """Say why a fault changes nothing; none where it may."""
    place, change = (Path(fault.path).name, fault.function or "module"), f"{fault.old} -> {fault.new}"
    changes = (change, f"{change} #{fault.number}")
    return next((row[3] for row in listed if row[:2] == place and row[2] in changes), None)


def traces(pool, modules):
    """Trace the test files that have changed; return the traces of all."""
    wanted = digests(CHECKOUT, modules)
    (KEPT / "trace").mkdir(parents=True, exist_ok=True)
    paths = {name: KEPT / "trace" / f"{digest}.json" for name, digest in wanted.items()}
    missing = [name for name, path in paths.items() if not path.exists()]
    for done, (name, record) in enumerate(pool.map(partial(worker.trace_one, modules=modules), missing), 1):
        print(f"traced {done}/{len(missing)} {name}: {len(record.get('tests', {}))} tests", flush=True)
        paths[name].write_text(json.dumps(record))
    return {name: load(path) for name, path in paths.items()}


def affordable(tests, seconds, budget):
    """Take tests in order while their seconds fit; at least one."""
    spent, chosen = 0.0, []
    for test in tests:
        spent += seconds[test]
        if chosen and spent > budget:
            break
        chosen.append(test)
    return chosen


def staged(index, fault, budget):
    """Part the tests that can notice a fault: a few seconds of the nearest, the rest, and the others."""
    direct, others = (affordable(tests, index.seconds, budget) for tests in index.stages(fault))
    near = affordable(direct, index.seconds, NEAR)
    stages = [near, direct[len(near) :], others]
    return fault, stages, {t: index.seconds[t] for tests in stages for t in tests}


class Report:
    """What became of each fault, printed line by line and kept in a file."""

    def __init__(self, path, seed, earlier=None):
        earlier = earlier or {"faults": [], "minutes": 0}
        self.path, self.seed, self.entries = path, seed, earlier["faults"]
        self.begin, self.minutes = time.monotonic(), earlier["minutes"]

    def add(self, fault, entry):
        """Note one fault."""
        what = f"{fault.path}:{fault.line} {fault.function}: {fault.old} -> {fault.new}"
        by = {"noticed": entry.get("by"), "equivalent": f"equivalent, {entry.get('why')}"}
        effort = f" [{entry['tests']} tests, {entry['seconds']} s]" if "tests" in entry else ""
        print(f"{what[:180]}: {by.get(entry['outcome'], 'SURVIVED')}{effort}", flush=True)
        place = {"key": fault.key, "path": fault.path, "line": fault.line, "kind": fault.kind}
        self.entries.append({**place, **entry})
        self.path.write_text(json.dumps({**self.summary(), "faults": self.entries}, indent=1))

    def summary(self):
        """Count what became of the faults; the share is of those that can be noticed."""
        words = ("noticed", "survived", "equivalent")
        count = {word: sum(e["outcome"] == word for e in self.entries) for word in words}
        tried = count["noticed"] + count["survived"]
        share = round(count["noticed"] / tried, 4) if tried else None
        cpu = round(sum(e.get("cpu", 0) for e in self.entries) / 60, 1)
        minutes = round(self.minutes + (time.monotonic() - self.begin) / 60, 1)
        return {
            "seed": self.seed,
            **count,
            "share": share,
            "minutes": minutes,
            "minutes of processor time": cpu,
        }


def chosen(options, modules):
    """Draw the faults to try; tell what an earlier run of the same already knows."""
    faults, total = picked(modules, None if options.only_survivors else options.count, options.seed)
    if options.only_survivors:
        before = json.loads(options.only_survivors.read_text())["faults"]
        survivors = {e["key"] for e in before if e["outcome"] == "survived"}
        faults = [f for f in faults if f.key in survivors]
    print(f"{len(faults)} of the {total} faults of {len(modules)} modules, seed {options.seed}", flush=True)
    earlier = load(options.report) if options.resume else None
    done = {e["key"] for e in earlier["faults"]} if earlier else set()
    return [f for f in faults if f.key not in done], earlier


def try_all(pool, modules, options):
    """Trace, draw, try and report."""
    faults, earlier = chosen(options, modules)
    index, listed = Index(CHECKOUT, traces(pool, modules)), equivalents()
    print(f"{len(index.failed)} tests fail without a fault:", *index.failed, flush=True)
    report = Report(options.report, options.seed, earlier)
    equal = {f.key: why for f in faults if (why := reason(f, listed))}
    for fault in (f for f in faults if f.key in equal):
        report.add(fault, {"outcome": "equivalent", "why": equal[fault.key]})
    tasks = [staged(index, f, options.budget) for f in faults if f.key not in equal]
    for fault, entry in pool.map(worker.try_one, tasks):
        report.add(fault, entry)
    print(json.dumps(report.summary()))


def main():
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="faults to try")
    parser.add_argument("--seed", type=int, default=0, help="which faults are drawn")
    parser.add_argument("--modules", nargs="+", default=MODULES, help="patterns of paths of modules")
    parser.add_argument("--workers", type=int, choices=(1, 2), default=1, help="processes")
    parser.add_argument("--budget", type=float, default=30, help="seconds of tests a fault, and of others")
    parser.add_argument("--report", type=Path, default=KEPT / "report.json", help="file to write")
    parser.add_argument("--resume", action="store_true", help="go on where the report of this run ends")
    parser.add_argument("--only-survivors", type=Path, help="report whose survivors are tried again")
    options = parser.parse_args()
    preload()
    workers = {"mp_context": multiprocessing.get_context("fork"), "initializer": worker.start}
    with ProcessPoolExecutor(options.workers, **workers) as pool:
        try:
            try_all(pool, modules_of(options.modules), options)
        finally:
            list(pool.map(worker.stop, range(options.workers)))


if __name__ == "__main__":
    main()
