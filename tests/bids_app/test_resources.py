"""Cores and memory are shared, and never more is used than was said."""

import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffad.bids_app.resources import THREAD_VARIABLES, WORKER_GB, limit_threads, plan_workers


@pytest.mark.parametrize(
    ("nprocs", "mem_gb", "participants", "is_gpu", "plan"),
    [
        (None, None, 5, False, "1 process with a thread for every core"),
        (4, None, 9, False, "4 processes with 1 thread each"),
        (4, 2.5 * WORKER_GB, 9, False, "2 processes with 2 threads each"),
        (8, None, 3, False, "3 processes with 2 threads each"),
        (8, None, 3, True, "1 process with 8 threads each"),
        (1, 1.0, 3, False, "1 process with 1 thread each"),
    ],
)
def test_plan_says_processes_and_threads(nprocs, mem_gb, participants, is_gpu, plan):
    assert str(plan_workers(nprocs, mem_gb, participants, is_gpu)) == plan


@given(st.integers(1, 64), st.none() | st.floats(0.1, 500), st.integers(1, 1000), st.booleans())
def test_plan_keeps_its_bounds(nprocs, mem_gb, participants, is_gpu):
    plan = plan_workers(nprocs, mem_gb, participants, is_gpu)
    assert 1 <= plan.workers <= participants
    assert plan.workers * plan.threads <= nprocs
    assert plan.workers == 1 or mem_gb is None or plan.workers * WORKER_GB <= mem_gb
    assert bool(plan.warning) == (mem_gb is not None and mem_gb < WORKER_GB)


def test_threads_are_as_before_afterwards(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    with limit_threads(before + 1):
        assert {os.environ[name] for name in THREAD_VARIABLES} == {str(before + 1)}
        assert torch.get_num_threads() == before + 1
    assert (os.environ["OMP_NUM_THREADS"], torch.get_num_threads()) == ("7", before)
    assert "NUMBA_NUM_THREADS" not in os.environ
