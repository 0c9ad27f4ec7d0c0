"""Participants shared among processes of this machine, which write one folder of results."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from diffad.bids_app.resources import WorkerPlan, limit_threads
from diffad.io.console import Console, get_console, use_console

if TYPE_CHECKING:
    from diffad.predict.options import Inputs, Options
    from diffad.predict.summary import CohortSummary


@dataclass(frozen=True)
class Voice:
    """How a process speaks: as that which started it.

    Args:
        level: How much is said.
        as_json: Whether everything is said as JSON.
        log: File to which everything is added, or none.
        command: Name of the command.
    """

    level: int
    as_json: bool
    log: Path | None
    command: str

    @classmethod
    def copy(cls, console: Console) -> Voice:
        """Return how a console speaks."""
        return cls(console.level, console.as_json, console.log, console.command)


def share_scans(
    scans: Sequence[Sequence[Path]], inputs: Inputs, options: Options, plan: WorkerPlan
) -> CohortSummary:
    """Look at all scans, in one process or in several at once.

    Args:
        scans: Scans by participant; those of one stay together.
        inputs: What else the run is about; its sources are replaced.
        options: How scans are looked at.
        plan: How many processes there are.

    Returns:
        What became of all scans.

    Raises:
        ValueError: If the model or an option cannot be used.
        OSError: If results cannot be written, or a process is ended from outside.
    """
    from diffad.predict.summary import CohortSummary

    shares = [_join_paths(scans[rank :: plan.workers]) for rank in range(plan.workers)]
    jobs = [replace(inputs, sources=share) for share in shares if share]
    voice = Voice.copy(get_console())
    with limit_threads(plan.threads):
        if len(jobs) == 1:
            return look_at_share(jobs[0], options)
        with ProcessPoolExecutor(len(jobs), multiprocessing.get_context("spawn")) as pool:
            futures = [pool.submit(work_on_share, job, options, plan.threads, voice) for job in jobs]
            try:
                return sum((future.result() for future in as_completed(futures)), CohortSummary())
            except BrokenProcessPool as error:
                hint = (
                    "the files of finished scans are whole; run the same command with fewer --nprocs to go on"
                )
                raise ChildProcessError(
                    f"a process was ended from outside, maybe for its memory; {hint}"
                ) from error
            except BaseException:
                _end_workers(pool)
                raise


def _join_paths(scans: Sequence[Sequence[Path]]) -> list[Path]:
    return [path for paths in scans for path in paths]


def work_on_share(inputs: Inputs, options: Options, threads: int, voice: Voice) -> CohortSummary:
    """Look at scans in a process that was started for them, and that draws no bars of its own."""
    import torch

    os.environ["TTY_COMPATIBLE"] = "0"  # several bars on one terminal would overwrite each other
    torch.set_num_threads(threads)
    with use_console(Console(voice.level, voice.as_json, voice.log, voice.command)):
        return look_at_share(inputs, options)


def look_at_share(inputs: Inputs, options: Options) -> CohortSummary:
    """Look at scans, alone or beside other processes."""
    from diffad.distributed import Process
    from diffad.predict import predict_scans

    return predict_scans(inputs, options, Process())


def _end_workers(pool: ProcessPoolExecutor) -> None:
    """End processes at work: their scans are whole or not there, and the locks go with them."""
    pool.shutdown(wait=False, cancel_futures=True)
    for process in multiprocessing.active_children():
        process.terminate()
