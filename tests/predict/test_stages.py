"""Three stages at once: in order, within a bound, and over at once when one breaks."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.predict.stages import BudgetClosed, MemoryBudget, run_overlapped


@given(sizes=st.lists(st.integers(0, 12), max_size=12), limit=st.integers(1, 20))
@settings(max_examples=30, deadline=None)
def test_items_come_out_in_order_and_never_more_than_fit(sizes, limit):
    held, most, out, lock = set(), [], [], threading.Lock()

    def read(item):
        with lock:
            held.add(item)
            most.append((sum(sizes[i] > 0 for i in held), sum(sizes[i] for i in held)))
        return item

    def write(item, made):
        out.append((item, made))
        with lock:
            held.discard(item)

    run_overlapped(range(len(sizes)), read, lambda item, got: got * 2, write, lambda i: sizes[i], limit)
    assert out == [(i, 2 * i) for i in range(len(sizes))]
    assert all(count <= 1 or total <= limit for count, total in most)


def test_stages_overlap():
    meeting = threading.Barrier(3, timeout=10)  # broken unless three stages run at once
    meet = [(2, "read"), (1, "work"), (0, "write")]

    def stage(name):
        def run(item, made=None):
            if (item, name) in meet:
                meeting.wait()
            return item

        return run

    run_overlapped(range(4), stage("read"), stage("work"), stage("write"), lambda _: 1, 10)
    assert not meeting.broken


@pytest.mark.parametrize("stage", ["read", "work", "write"])
def test_error_of_a_stage_ends_it_after_what_is_being_written(stage):
    written = []

    def fails(name):
        def run(item, made=None):
            if name == stage and item == 2:
                raise KeyboardInterrupt
            if name == "write":
                time.sleep(0.02)
                written.append(item)
            return item

        return run

    with pytest.raises(KeyboardInterrupt):
        run_overlapped(range(6), fails("read"), fails("work"), fails("write"), lambda _: 1, 3)
    assert written in ([0, 1], [0])


def test_nobody_waits_for_room_that_never_comes():
    room = MemoryBudget(5)
    room.acquire(9)  # a single one always fits
    ended = []

    def wait():
        try:
            room.acquire(1)
        except BudgetClosed:
            ended.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    room.close()
    thread.join(5)
    assert ended == [True]
