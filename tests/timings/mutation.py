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

from tests.timings.faults import faults_of
from tests.timings.trace import Index, digests, load, trace
from tests.timings.trial import CHECKOUT, Tree, compiles, preload, run_tests, tracked

PACKAGES = ("samplers", "noise", "*/guidance", "*/score", "*/threshold", "*/evaluation/metrics")
FILES = ("step", "denoise", "postprocess", "detect", "median", "volume", "grid")
MODULES = [f"{p}/*.py" for p in PACKAGES] + [f"*/{f}.py" for f in FILES]
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
KEPT = CHECKOUT / "runs" / "mutation"
NO_TESTS = 5
NEAR = 4.0
state = {}


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
    """Read the faults that change nothing: file :: function :: old -> new :: reason."""
    lines = [line.strip() for line in EQUIVALENT.read_text().splitlines()] if EQUIVALENT.exists() else []
    return [tuple(part.strip() for part in line.split(" :: ")) for line in lines if line and line[0] != "#"]


def reason(fault, listed):
    """Say why a fault changes nothing; none where it may."""
    what = (Path(fault.path).name, fault.function or "module", f"{fault.old} -> {fault.new}")
    return next(
        (row[3] for row in listed if all(r in ("*", w) for r, w in zip(row, what, strict=False))), None
    )


def start_worker():
    """Give this worker a copy of the checkout."""
    state["tree"] = Tree(CHECKOUT)


def trace_one(name, modules):
    """Trace one test file."""
    return name, trace(state["tree"], name, modules)


def try_one(task):
    """Try one fault against its stages of tests; return what came of it."""
    fault, stages, seconds = task
    start, tree, outcome = (
        time.monotonic(),
        state["tree"],
        {"outcome": "survived", "by": None, "tests": 0, "cpu": 0.0},
    )
    with tree.faulty(fault):
        for tests in filter(None, stages):
            ended = try_stage(tree, fault, tests, sum(seconds[t] for t in tests))
            outcome["tests"] += len(tests)
            outcome["cpu"] = round(outcome["cpu"] + ended["cpu"], 1)
            if ended["end"] != "done" or ended["code"] not in (0, NO_TESTS):
                how = "" if ended["end"] == "done" else f" ({ended['end']})"
                outcome |= {"outcome": "noticed", "by": f"{ended.get('by') or 'loading'}{how}"}
                break
    return fault, {**outcome, "seconds": round(time.monotonic() - start, 1)}


def try_stage(tree, fault, tests, seconds):
    """Run tests until one fails; much longer than without the fault is a failure, too."""
    files = list(dict.fromkeys(test.split("::")[0] for test in tests))
    limit = 20 + len(files) + 3 * seconds + 60 * compiles(tree.root / fault.path)
    return tree.run(partial(run_tests, files=files, wanted=tests, options=["-x"]), limit)


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
    return [near, direct[len(near) :], others]


def traces(pool, modules):
    """Trace the test files that have changed; return the traces of all."""
    wanted = digests(CHECKOUT, modules)
    (KEPT / "trace").mkdir(parents=True, exist_ok=True)
    paths = {name: KEPT / "trace" / f"{digest}.json" for name, digest in wanted.items()}
    missing = [name for name, path in paths.items() if not path.exists()]
    for done, (name, record) in enumerate(pool.map(partial(trace_one, modules=modules), missing), 1):
        print(
            f"traced {done}/{len(missing)} {name}: {record['end']}, {len(record.get('tests', {}))} tests",
            flush=True,
        )
        paths[name].write_text(json.dumps(record))
    return {name: load(path) for name, path in paths.items()}


def line_of(fault, entry):
    """One line about a fault."""
    what = f"{fault.old} -> {fault.new}"
    heard = entry["by"] if entry["outcome"] == "noticed" else entry["outcome"].upper()
    effort = f"[{entry['tests']} tests, {entry['seconds']} s]"
    return f"{fault.path}:{fault.line} {fault.function}: {what[:150]}: {heard} {effort}"


def summary(entries):
    """Count what became of the faults."""
    count = {
        word: sum(e["outcome"] == word for e in entries) for word in ("noticed", "survived", "equivalent")
    }
    tried = count["noticed"] + count["survived"]
    cpu = sum(e.get("cpu", 0) for e in entries) / 60
    share = round(count["noticed"] / tried, 4) if tried else None
    return {**count, "share": share, "minutes of processor time": round(cpu, 1)}


def run(options):
    """Trace, draw, try and report."""
    begin, modules = time.monotonic(), modules_of(options.modules)
    faults, total = picked(modules, None if options.only_survivors else options.count, options.seed)
    if options.only_survivors:
        before = json.loads(options.only_survivors.read_text())["faults"]
        survivors = {e["key"] for e in before if e["outcome"] == "survived"}
        faults = [f for f in faults if f.key in survivors]
    print(f"{len(faults)} of the {total} faults of {len(modules)} modules, seed {options.seed}", flush=True)
    preload()
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(options.workers, mp_context=context, initializer=start_worker) as pool:
        try:
            entries = try_all(pool, faults, modules, options, begin)
        finally:
            list(pool.map(remove_tree, range(options.workers)))
    print(json.dumps({**summary(entries), "minutes": round((time.monotonic() - begin) / 60, 1)}))


def remove_tree(_):
    """Delete the worker's copy."""
    state["tree"].remove()


def try_all(pool, faults, modules, options, begin):
    """Try each fault, print a line for it, and write the report as it grows."""
    index, listed, entries = Index(CHECKOUT, traces(pool, modules)), equivalents(), []
    print(
        f"traced after {time.monotonic() - begin:.0f} s; {len(index.failed)} tests fail without a fault:",
        *index.failed,
    )
    tasks = []
    for fault in faults:
        if why := reason(fault, listed):
            print(
                f"{fault.path}:{fault.line} {fault.function}: {fault.old} -> {fault.new}: equivalent, {why}"
            )
            entries.append(
                {
                    "key": fault.key,
                    "path": fault.path,
                    "line": fault.line,
                    "outcome": "equivalent",
                    "why": why,
                }
            )
            continue
        stages = staged(index, fault, options.budget)
        tasks.append((fault, stages, {t: index.seconds[t] for tests in stages for t in tests}))
    for fault, entry in pool.map(try_one, tasks):
        print(line_of(fault, entry), flush=True)
        entries.append(
            {"key": fault.key, "path": fault.path, "line": fault.line, "kind": fault.kind, **entry}
        )
        minutes = round((time.monotonic() - begin) / 60, 1)
        figures = {"seed": options.seed, **summary(entries), "minutes": minutes, "faults": entries}
        options.report.write_text(json.dumps(figures, indent=1))
    return entries


def main():
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="faults to try")
    parser.add_argument("--seed", type=int, default=0, help="which faults are drawn")
    parser.add_argument("--modules", nargs="+", default=MODULES, help="patterns of paths of modules")
    parser.add_argument("--workers", type=int, choices=(1, 2), default=1, help="processes")
    parser.add_argument(
        "--budget", type=float, default=30, help="seconds of tests that run a line, and again of others"
    )
    parser.add_argument("--report", type=Path, default=KEPT / "report.json", help="file to write")
    parser.add_argument("--only-survivors", type=Path, help="report whose survivors are tried again")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
