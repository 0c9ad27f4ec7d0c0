"""A claim is held by one program at a time, and ends with it, however it ends."""

import errno
import json
import os
import subprocess
import sys
import time
from multiprocessing import get_context

import pytest
from filelock import FileLock

from diffad.io.claims import RUNNING, Claim, ClaimedError, hold_claim

HOLD = """
import sys, time
from pathlib import Path
from diffad.io.claims import Claim
claim = Claim(Path(sys.argv[1]))
assert claim.acquire()
print("held", flush=True)
time.sleep(60)
"""


def start_holder(path):
    """Start a program that holds a claim until it is killed."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    return holder


def count_up(folder):
    claim = Claim(folder / RUNNING / "counter.lock")
    for _ in range(100):
        assert claim.acquire(60)
        number = int((folder / "counter").read_text())
        (folder / "counter").write_text(str(number + 1))
        claim.release()


def test_claim_is_granted_once_and_says_who_has_it(tmp_path):
    first, second = Claim(tmp_path / "c.lock"), Claim(tmp_path / "c.lock")
    assert (first.acquire(), second.acquire(), second.acquire(0.1)) == (True, False, False)
    assert second.describe_holder().startswith(f"process {os.getpid()} on ")
    first.release()
    first.release()  # twice does no harm
    assert second.acquire()
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_claim_of_a_killed_program_is_taken_over(tmp_path):
    holder = start_holder(tmp_path / RUNNING / "c.lock")
    claim = Claim(tmp_path / RUNNING / "c.lock")
    assert not claim.acquire()
    assert claim.describe_holder().startswith(f"process {holder.pid} on ")
    holder.kill()
    holder.wait()
    assert claim.acquire()
    claim.release()
    assert list(tmp_path.iterdir()) == []  # the folder went with its last lock


def test_waiting_ends_when_the_holder_lets_go(tmp_path):
    holder, claim = start_holder(tmp_path / "c.lock"), Claim(tmp_path / "c.lock")
    start = time.monotonic()
    assert not claim.acquire(0.2)
    assert 0.2 <= time.monotonic() - start < 20
    holder.kill()
    assert claim.acquire(60)
    claim.release()


def test_programs_that_count_with_a_claim_lose_nothing(tmp_path):
    (tmp_path / "counter").write_text("0")
    pool = [get_context("spawn").Process(target=count_up, args=(tmp_path,)) for _ in range(3)]
    for process in pool:
        process.start()
    for process in pool:
        process.join()
    assert [process.exitcode for process in pool] == [0, 0, 0]
    assert (tmp_path / "counter").read_text() == "300"


INFINITE = '{"pid": 1e999, "host": "h"}'


@pytest.mark.parametrize("text", ["", "[]", "{}", "\x00", '{"pid": "x", "host": 1}', INFINITE, "[" * 10_000])
def test_holder_that_wrote_nonsense_is_another_process(tmp_path, text):
    (tmp_path / "c.lock").write_text(text)
    assert Claim(tmp_path / "c.lock").describe_holder() == "another process"


def test_held_claim_is_refused_by_name(tmp_path):
    with hold_claim(tmp_path / "c.lock", what="out"):
        with pytest.raises(ClaimedError, match=rf"^out: expected nobody.* found process {os.getpid()} on "):
            hold_claim(tmp_path / "c.lock", what="out").__enter__()
        assert json.loads((tmp_path / "c.lock").read_text())["pid"] == os.getpid()
    assert not (tmp_path / "c.lock").exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_file_system_without_locks_grants_every_claim(tmp_path, monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert Claim(tmp_path / "c.lock").acquire()


def test_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "f").write_text("a file")
    with pytest.raises(OSError, match="f"):
        Claim(tmp_path / "f" / "c.lock").acquire()


def test_file_in_the_place_of_the_locks_is_told_at_once(tmp_path):
    (tmp_path / RUNNING).touch()
    start = time.monotonic()
    with pytest.raises(OSError, match="expected a folder for lock files, found a file"):
        Claim(tmp_path / RUNNING / "a.lock").acquire(60)
    assert time.monotonic() - start < 5
