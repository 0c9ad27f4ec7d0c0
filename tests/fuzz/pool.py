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

from diffad.io.terminal import format_error, is_expected

SECONDS = 10
"""Time that one case may take."""
MEMORY = 2 * 2**30
"""Bytes that one case may take beyond what its process has."""
MAX_MESSAGE = 2000
"""Characters of an error; a longer one fills a terminal."""
ENDS = ("taken", "warned", "refused")
"""How a case may end: used in silence, used with a warning, or refused by an error that a user can mend."""
FAULTS = ("raw", "wrong", "hang", "memory", "long", "nameless")
"""How no case may end: by an error that no user can mend, with a wrong result in silence, after too much time
or memory, or by a message that fills a terminal or names no file."""


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
    """How a case ended: "taken", "warned" or "refused", or one of ``FAULTS``."""

    case: Case
    kind: str
    change: str
    message: str = ""

    @property
    def is_fault(self):
        """Whether the case must not end so."""
        return self.kind in FAULTS


class WrongResultError(Exception):
    """What a target raises where an input was taken and the result is wrong without a word."""


def run_case(target, case, folder):
    """Make a mutation in ``folder``, feed it, and judge the end."""
    change, peak = "", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        change = target.mutate(case.rng, folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            is_odd = target.feed(folder)
    except WrongResultError as error:
        return Outcome(case, "wrong", change, str(error))
    except MemoryError as error:
        return Outcome(case, "memory", change, str(error))
    except Exception as error:
        names = [folder.name, *(p.name for p in folder.rglob("*"))] if target.names_file else [""]
        return Outcome(case, *_judge(error, change, names, MAX_MESSAGE + getattr(target, "echo", 0)))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024
    if grown > MEMORY + getattr(target, "need", 0):
        return Outcome(case, "memory", change, f"{grown / 2**30:.1f} GB")
    return Outcome(case, "warned" if is_odd else "taken", change)


def _judge(error, change, names, limit):
    """Judge an error, which names a file, in a message of at most so many characters."""
    message, place = format_error(error), traceback.extract_tb(error.__traceback__)[-1]
    text = f"{type(error).__name__}: {message[:500]} ({place.filename}:{place.lineno})"
    if not is_expected(error):
        return "raw", change, text
    if len(str(error)) > limit:
        return "long", change, text
    return ("refused" if any(name in message for name in names) else "nameless"), change, text


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
