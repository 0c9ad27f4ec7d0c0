"""How much of a machine a run uses: processes, and threads in each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

WORKER_GB = 4.0
"""Memory that is counted for one process, in GB; see docs/guide/bids_app.md for what was measured."""
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
"""Variables by which libraries are told how many threads to start."""


@dataclass(frozen=True)
class WorkerPlan:
    """How many processes look at participants at once, and how many threads each has.

    Args:
        workers: Processes.
        threads: Threads in each; 0 for all cores.
        warning: What should be known of the choice; empty if nothing.
    """

    workers: int = 1
    threads: int = 0
    warning: str = ""

    def __str__(self) -> str:
        if not self.threads:
            return "1 process with a thread for every core"
        processes = f"{self.workers} process{'es' if self.workers > 1 else ''}"
        return f"{processes} with {self.threads} thread{'s' if self.threads > 1 else ''} each"


def plan_workers(
    nprocs: int | None, mem_gb: float | None, participants: int, is_gpu: bool = False
) -> WorkerPlan:
    """Share cores and memory among processes.

    There are as many processes as cores, but no more than participants, no more than have room in memory, and
    one where there is a GPU; the cores are shared among them.

    Args:
        nprocs: Most cores that are used; none for all, in one process.
        mem_gb: Most memory that is used, in GB; none for no limit.
        participants: How many participants are looked at.
        is_gpu: Whether networks run on a GPU, which one process fills.
    """
    room = participants if mem_gb is None else int(mem_gb // WORKER_GB)
    warning = ""
    if mem_gb is not None and room < 1:
        need = f"the {WORKER_GB:g} GB that one process may need"
        warning = f"--mem-gb {mem_gb:g} is less than {need}; one goes on"
    if nprocs is None:
        return WorkerPlan(warning=warning)
    workers = max(1, min(nprocs, participants, room, 1 if is_gpu else nprocs))
    return WorkerPlan(workers, max(1, nprocs // workers), warning)


@contextmanager
def limit_threads(threads: int) -> Iterator[None]:
    """Let this process, and those it starts, use so many threads; 0 changes nothing."""
    if not threads:
        yield
        return
    import torch

    before, threads_before = dict(os.environ), torch.get_num_threads()
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        for name in THREAD_VARIABLES:
            os.environ.pop(name)
        os.environ.update({name: before[name] for name in THREAD_VARIABLES if name in before})
