"""Runs cases in forked processes, each with a limit of time and memory, so that none can harm the others."""

import contextlib
import multiprocessing
import os
import random
import resource
import shutil
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

from diffad.io.terminal import is_expected

SECONDS = 10
"""Time that one case may take."""
MEMORY = 2 * 2**30
"""Bytes that one case may take beyond what its process has."""
MAX_MESSAGE = 4000
"""Characters of an error; a longer one fills a terminal."""


@dataclass(frozen=True)
class Case:
    """One mutation, made again from its seed and number alone."""

    target: str
    seed: int
    number: int

    @property
    def rng(self):
        """The generator of all that is random in it."""
        return random.Random(f"{self.target}-{self.seed}-{self.number}")


@dataclass(frozen=True)
class Outcome:
    """How a case ended: "taken", "refused", or one of the faults "raw", "wrong", "hang", "memory", "long"."""

    case: Case
    kind: str
    change: str
    message: str = ""

    @property
    def is_fault(self):
        """Whether the case must not end so."""
        return self.kind not in ("taken", "refused")


class WrongResultError(Exception):
    """What a target raises where an input was taken and the result is wrong without a word."""


def run_case(target, case, folder):
    """Make a mutation in ``folder``, feed it, and judge the end."""
    change = target.mutate(case.rng, folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.feed(folder)
    except WrongResultError as error:
        return Outcome(case, "wrong", change, str(error))
    except MemoryError as error:
        return Outcome(case, "memory", change, str(error))
    except Exception as error:
        return Outcome(case, *_judge(error, change))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024
    if grown > MEMORY + getattr(target, "need", 0):
        return Outcome(case, "memory", change, f"{grown / 2**30:.1f} GB")
    return Outcome(case, "taken", change)


def _judge(error, change):
    message = f"{type(error).__name__}: {error}"
    if not is_expected(error):
        place = traceback.extract_tb(error.__traceback__)[-1]
        return "raw", change, f"{message[:500]} ({place.filename}:{place.lineno})"
    return ("long" if len(message) > MAX_MESSAGE else "refused"), change, message[:500]


def _work(targets, connection, base):
    with contextlib.suppress(OSError, ValueError):
        size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY + 2**29, resource.RLIM_INFINITY))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    while (case := connection.recv()) is not None:
        folder = Path(tempfile.mkdtemp(dir=base))
        connection.send(run_case(targets[case.target], case, folder))
        shutil.rmtree(folder, ignore_errors=True)


class Worker:
    """One forked process and the case it is busy with."""

    def __init__(self, targets, base):
        self.connection, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        self.process = context.Process(target=_work, args=(targets, theirs, base), daemon=True)
        self.process.start()
        theirs.close()
        self.case, self.start, self.stuck = None, 0.0, False

    def give(self, case):
        """Let it run a case."""
        self.case, self.start = case, time.monotonic()
        self.connection.send(case)

    def take(self):
        """Return the outcome of its case, or none while it is busy; one that is stuck or gone is a fault."""
        if self.connection.poll():
            try:
                outcome = self.connection.recv()
            except (EOFError, OSError):
                self.process.join()
                self.stuck = True
                outcome = Outcome(self.case, "raw", "", f"the process died ({self.process.exitcode})")
        elif time.monotonic() - self.start > SECONDS:
            self.stuck = True
            outcome = Outcome(self.case, "hang", "", f"longer than {SECONDS} s")
        else:
            return None
        self.case = None
        return outcome

    def end(self):
        """Stop the process."""
        self.process.kill()
        self.process.join()


def run_cases(targets, cases, workers=1):
    """Yield the outcome of each case, in the order they end.

    Args:
        targets: Targets by name, ready.
        cases: What to run.
        workers: Processes.
    """
    queue = iter(cases)
    with tempfile.TemporaryDirectory(prefix="diffad-fuzz-") as base:
        crew = []
        try:
            for _ in range(workers):
                _assign(queue, crew, targets, base)
            while crew:
                wait([w.connection for w in crew], timeout=0.2)
                for worker in list(crew):
                    if (outcome := worker.take()) is not None:
                        yield outcome
                        _assign(queue, crew, targets, base, worker)
        finally:
            for worker in crew:
                worker.end()


def _assign(queue, crew, targets, base, worker=None):
    """Give the next case to a worker, or to a new one where it is stuck, gone or not there yet."""
    case = next(queue, None)
    if worker is not None and (case is None or worker.stuck):
        crew.remove(worker)
        worker.end()
        worker = None
    if case is None:
        return
    if worker is None:
        worker = Worker(targets, base)
        crew.append(worker)
    worker.give(case)
