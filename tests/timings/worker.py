"""What a worker of the mutation runner does, in a copy of the checkout: it traces tests and tries faults."""

import time
from functools import partial

from tests.timings.trace import trace
from tests.timings.trial import CHECKOUT, Tree, compiles, run_tests

NO_TESTS = 5
state = {}


def start():
    """Give this worker a copy of the checkout."""
    state["tree"] = Tree(CHECKOUT)


def stop(_):
    """Delete the worker's copy."""
    state["tree"].remove()


def trace_one(name, modules):
    """Trace one test file."""
    return name, trace(state["tree"], name, modules)


def try_one(task):
    """Try one fault against its stages of tests; return what came of it."""
    fault, stages, seconds = task
    begin, tree = time.monotonic(), state["tree"]
    outcome = {"outcome": "survived", "by": None, "tests": 0, "cpu": 0.0}
    with tree.faulty(fault):
        for tests in filter(None, stages):
            ended = _try_stage(tree, fault, tests, sum(seconds[t] for t in tests))
            outcome["tests"] += len(tests)
            outcome["cpu"] = round(outcome["cpu"] + ended["cpu"], 1)
            if ended["end"] != "done" or ended["code"] not in (0, NO_TESTS):
                how = "" if ended["end"] == "done" else f" ({ended['end']})"
                outcome |= {"outcome": "noticed", "by": f"{ended.get('by') or 'loading'}{how}"}
                break
    return fault, {**outcome, "seconds": round(time.monotonic() - begin, 1)}


def _try_stage(tree, fault, tests, seconds):
    """Run tests until one fails; much longer than without the fault is a failure, too."""
    files = list(dict.fromkeys(test.split("::")[0] for test in tests))
    limit = 20 + len(files) + 3 * seconds + 60 * compiles(tree.root / fault.path)
    return tree.run(partial(run_tests, files=files, wanted=tests, options=["-x"]), limit)
