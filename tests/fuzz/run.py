"""Feed mutated inputs: python -m tests.fuzz.run --count 5000 --seed 0

The exit code is 1 where a case ended raw (an error that no user can mend), wrong, in a hang, in too much
memory, or in a message that fills a terminal or names no file. ``--only NUMBER`` runs one case of a target
alone and shows where it ends.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.fuzz.pool import ENDS, FAULTS, Case, run_case, run_cases
from tests.fuzz.targets import TARGETS, make_targets


def list_cases(names, count, seed):
    """Return so many cases, the targets taking turns."""
    return [Case(names[i % len(names)], seed, i // len(names)) for i in range(count)]


def describe(counts, names):
    """Return the table of outcomes, a line for each target."""
    kinds = (*ENDS, *FAULTS)
    lines = [f"{'target':12}" + "".join(f"{kind:>9}" for kind in kinds)]
    return [*lines, *(f"{n:12}" + "".join(f"{counts[n, k]:9}" for k in kinds) for n in names)]


def run_one(name, seed, number):
    """Run one case in this process, with where its error comes from."""
    target, case = make_targets([name])[name], Case(name, seed, number)
    with tempfile.TemporaryDirectory() as folder:
        print(run_case(target, case, Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        target.mutate(case.rng, Path(folder))
        target.feed(Path(folder))


def main():
    """Run the cases and print the faults, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--targets", default=",".join(TARGETS), help=f"of {','.join(TARGETS)}")
    parser.add_argument("--count", type=int, default=500, help="mutations of all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--only", type=int, help="number of the one case to run")
    words = parser.parse_args()
    names = words.targets.split(",")
    if words.only is not None:
        return run_one(names[0], words.seed, words.only)
    counts, faults = Counter(), 0
    for outcome in run_cases(make_targets(names), list_cases(names, words.count, words.seed), words.workers):
        counts[outcome.case.target, outcome.kind] += 1
        if outcome.is_fault:
            faults += 1
            case = outcome.case
            print(
                f"{outcome.kind}: {case.target} {case.number}: {outcome.change[:200]!r}: {outcome.message}",
                flush=True,
            )
    print("\n".join(describe(counts, names)))
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
