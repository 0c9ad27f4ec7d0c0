"""Compile functions with numba and run them in threads."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numba
import torch

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")


def compile_parallel(function: F) -> F:
    """Compile without the interpreter lock, so that plain threads run side by side."""
    return compile_cached(lambda: numba.njit(nogil=True, cache=True)(function))


def compile_fast(function: F) -> F:
    """Compile as above, free to fuse and reorder floating point operations."""
    return compile_cached(lambda: numba.njit(nogil=True, cache=True, fastmath=True)(function))


def compile_cached(make: Callable[[], T]) -> T:
    """Compile by calling ``make``, with a temporary cache where numba finds no folder it can write to."""
    try:
        return make()
    except RuntimeError:
        numba.config.CACHE_DIR = tempfile.mkdtemp(prefix="diffad-numba-")
        return make()


def run_tasks(task: Callable[[int], object], count: int) -> None:
    """Run ``task`` for 0..count-1 on as many threads as torch uses.

    Plain threads, made for each call, are safe beside torch, in forked workers and under several callers,
    which the parallel loops of numba are not on every threading layer.
    """
    workers = min(torch.get_num_threads(), count)
    if workers <= 1:
        for index in range(count):
            task(index)
        return
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(task, range(count)))
