"""Files and folders appear whole or not at all, whatever happens while they are written."""

import errno
import os
import re
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import pytest
from safetensors import SafetensorError

from diffad.io import scratch
from diffad.io.atomic import (
    UnwritableError,
    put_in_place,
    staged_file,
    staged_folder,
    write_bytes,
    write_text,
)
from diffad.io.scratch import scratch_folder

FULL = OSError(errno.ENOSPC, "No space left on device")
FILE_STEPS = {"fsync": (os, "fsync", 1), "rename": (Path, "replace", 1)}
FOLDER_STEPS = {"old aside": (Path, "replace", 1), "new in place": (Path, "replace", 2)}
"""What is done to a file or a folder after it is written: where, and at which call."""


def content(path):
    """What lies in a folder, with hidden names, by path."""
    return {str(p.relative_to(path)): p.read_text() for p in sorted(path.rglob("*")) if p.is_file()}


def fail_at(patch, holder, name, call, error):
    """Let one call of a function fail."""
    calls, real = [], getattr(holder, name)

    def fail(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise error
        return real(*arguments)

    patch.setattr(holder, name, fail)


def write_folder(target, text):
    with staged_folder(target) as partial:
        (partial / "below").mkdir()
        (partial / "a").write_text(text)
        (partial / "below" / "b").write_text(text)


def test_text_replaces_what_was_there_and_leaves_no_scraps(tmp_path):
    for text in ("one", "zwei ü"):
        write_text(tmp_path / "t.json", text)
    assert (tmp_path / "t.json").read_text(encoding="utf-8") == "zwei ü"
    assert [p.name for p in tmp_path.iterdir()] == ["t.json"]


def test_folder_replaces_what_was_there_and_leaves_no_scraps(tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "stale").write_text("old")
    for text in ("one", "two"):
        write_folder(tmp_path / "t", text)
    assert content(tmp_path) == {"t/a": "two", "t/below/b": "two"}
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


def test_file_is_written_aside_under_its_own_ending_until_it_is_whole(tmp_path):
    write_text(tmp_path / "t.png", "old")
    with staged_file(tmp_path / "t.png") as partial:
        partial.write_text("new")
        assert (partial.parent, partial.suffix, partial.name[0]) == (tmp_path, ".png", ".")
        assert (tmp_path / "t.png").read_text() == "old"
    assert content(tmp_path) == {"t.png": "new"}


def test_folder_is_written_aside_until_it_is_whole(tmp_path):
    write_folder(tmp_path / "t", "old")
    with staged_folder(tmp_path / "t") as partial:
        assert re.fullmatch(r"\.t\.[0-9a-f]{8}\.partial", partial.name)
        assert (partial.parent, list(partial.iterdir())) == (tmp_path, [])
        (partial / "c").write_text("new")
        assert (tmp_path / "t" / "a").read_text() == "old"
    assert content(tmp_path) == {"t/c": "new"}


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    write_text(tmp_path / "t", "x")
    write_folder(tmp_path / "f", "x")
    (tmp_path / "plain").write_text("x")
    (tmp_path / "plain folder").mkdir()
    assert (tmp_path / "t").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "f").stat().st_mode == (tmp_path / "plain folder").stat().st_mode


def test_full_disk_names_the_file_and_keeps_the_old_one(tmp_path, monkeypatch):
    write_text(tmp_path / "t", "old")
    real = Path.write_bytes

    def full(self, content):
        real(self, content[:1])
        raise FULL

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r".*/t: cannot be written \(No space left on device\)$") as caught:
        write_bytes(tmp_path / "t", b"new")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "t"))
    assert (tmp_path / "t").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


@pytest.mark.parametrize("step", FILE_STEPS)
@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()])
def test_file_that_fails_after_it_is_written_leaves_the_old_one(tmp_path, monkeypatch, step, error):
    write_text(tmp_path / "t", "old")
    fail_at(monkeypatch, *FILE_STEPS[step], error)
    with pytest.raises(UnwritableError if error is FULL else KeyboardInterrupt):
        write_text(tmp_path / "t", "new")
    assert content(tmp_path) == {"t": "old"}


@pytest.mark.parametrize("step", FOLDER_STEPS)
@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()])
def test_folder_that_fails_after_it_is_written_leaves_the_old_one(tmp_path, monkeypatch, step, error):
    write_folder(tmp_path / "t", "old")
    fail_at(monkeypatch, *FOLDER_STEPS[step], error)
    with pytest.raises(UnwritableError if error is FULL else KeyboardInterrupt):
        write_folder(tmp_path / "t", "new")
    assert content(tmp_path) == {"t/a": "old", "t/below/b": "old"}
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


@pytest.mark.parametrize("stage", [staged_file, staged_folder])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no number"), SystemExit(3)])
def test_what_goes_wrong_while_writing_is_passed_on_as_it_is(tmp_path, stage, error):
    with pytest.raises(type(error)) as caught, stage(tmp_path / "t") as partial:  # noqa: PT012
        (partial if stage is staged_file else partial / "a").write_text("half")
        raise error
    assert caught.value is error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", [staged_file, staged_folder])
@pytest.mark.parametrize("error", [FULL, SafetensorError("No space left on device")])
def test_write_that_fails_names_target_and_reason(tmp_path, stage, error):
    with pytest.raises(UnwritableError, match=r".*/t: cannot be written \(No space left on device\)$"):  # noqa: SIM117
        with stage(tmp_path / "t"):
            raise error
    assert list(tmp_path.iterdir()) == []


def test_inner_write_that_fails_is_named_once_by_the_whole(tmp_path):
    with pytest.raises(UnwritableError) as caught, staged_folder(tmp_path / "t") as partial:
        write_text(partial / "absent" / "a", "x")
    assert str(caught.value) == f"{tmp_path / 't'}: cannot be written (No such file or directory)"


@pytest.mark.parametrize("stage", [staged_file, staged_folder])
def test_place_that_cannot_be_written_to_is_named(tmp_path, stage):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnwritableError, match="file/t: cannot be written"), stage(tmp_path / "file" / "t"):
        pass
    assert content(tmp_path) == {"file": "x"}


def test_file_that_was_not_written_is_an_error(tmp_path):
    with pytest.raises(UnwritableError, match="t: cannot be written"), staged_file(tmp_path / "t"):
        pass


def test_scratch_folder_is_empty_and_gone_afterwards(tmp_path):
    (tmp_path / ".s.partial").mkdir()
    (tmp_path / ".s.partial" / "scraps").write_text("of a killed run")
    with pytest.raises(ValueError, match=r"^stop$"), scratch_folder(tmp_path / "s") as folder:  # noqa: PT012
        assert [p.name for p in tmp_path.iterdir()] == [folder.name]
        assert list(folder.iterdir()) == []
        (folder / "a").write_text("x")
        put_in_place(folder / "a", tmp_path / "a")
        raise ValueError("stop")
    assert content(tmp_path) == {"a": "x"}
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


KILLED = """
import os, sys
from multiprocessing import get_context
from pathlib import Path
from diffad.io import atomic
target, name, call = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
holder = {"fsync": os, "replace": Path, "rmtree": atomic.shutil}[name]
calls, real = [], getattr(holder, name)
def die(path, *arguments, **options):
    if name != "rmtree" or (Path(path).name == ".t.old" and Path(path).exists()):
        calls.append(path)
    if len(calls) == call:
        os._exit(9)
    return real(path, *arguments, **options)
setattr(holder, name, die)
if target.suffix:
    atomic.write_text(target, "new")
else:
    with atomic.staged_folder(target) as partial:
        (partial / "a").write_text("new")
        if call == 0:
            os._exit(9)
"""


def kill(target, name, call):
    """Write a file or a folder, and die at a call of a function; at 0, while it is written."""
    run = subprocess.run([sys.executable, "-c", KILLED, str(target), name, str(call)], check=False)
    assert run.returncode == 9


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_kill_leaves_the_old_file(tmp_path, name):
    write_text(tmp_path / "t.txt", "old")
    kill(tmp_path / "t.txt", name, 1)
    assert (tmp_path / "t.txt").read_text() == "old"


@pytest.mark.parametrize(
    ("name", "call", "there"),
    [
        ("replace", 0, {"t/a": "old", ".t.partial/a": "new"}),
        ("replace", 1, {"t/a": "old", ".t.partial/a": "new"}),
        ("replace", 2, {".t.old/a": "old", ".t.partial/a": "new"}),
        ("rmtree", 1, {"t/a": "new", ".t.old/a": "old"}),
    ],
)
def test_kill_loses_no_folder_and_the_next_run_sweeps_up(tmp_path, name, call, there):
    with staged_folder(tmp_path / "t") as partial:
        (partial / "a").write_text("old")
    kill(tmp_path / "t", name, call)
    contents = {re.sub(r"^\.t\.\w{8}", ".t", name): text for name, text in content(tmp_path).items()}
    contents.pop(".t.lock", None)  # says who held it; nobody does now
    assert contents == there
    with pytest.raises(UnwritableError), staged_folder(tmp_path / "t"):
        raise FULL
    assert content(tmp_path) == {"t/a": there.get("t/a", "old")}
    write_folder(tmp_path / "t", "next")
    assert content(tmp_path) == {"t/a": "next", "t/below/b": "next"}
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


def test_programs_that_write_one_folder_do_not_share_their_scraps(tmp_path):
    with scratch_folder(tmp_path / "s") as first, scratch_folder(tmp_path / "s") as second:
        (first / "a").write_text("of the first")
        assert first != second
        assert content(tmp_path) == {f"{first.name}/a": "of the first"}
    assert list(tmp_path.iterdir()) == []


def write_often(target, text):
    for _ in range(40):
        write_folder(target, text)


def test_folder_that_several_programs_write_is_always_whole(tmp_path):
    target = tmp_path / "t"
    write_folder(target, "0")
    pool = [get_context("spawn").Process(target=write_often, args=(target, str(k))) for k in range(3)]
    for process in pool:
        process.start()
    while any(process.is_alive() for process in pool):
        for process in pool:
            process.join(0.01)
    assert [process.exitcode for process in pool] == [0, 0, 0]
    files = content(tmp_path)
    assert set(files) == {"t/a", "t/below/b"}
    assert files["t/a"] == files["t/below/b"]
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


@pytest.mark.parametrize("name", ["x" * 250, "\u00e4" * 120])
def test_long_name_that_the_file_system_takes_can_be_written(tmp_path, name):
    write_text(tmp_path / name, "text")
    assert (tmp_path / name).read_text() == "text"
    with scratch_folder(tmp_path / name) as folder:
        assert folder.is_dir()


@pytest.mark.parametrize("before", [True, False], ids=["before it is opened", "before it is held"])
def test_scratch_folder_that_is_swept_up_before_it_is_held_is_made_again(tmp_path, monkeypatch, before):
    hold, swept = scratch._hold_folder, []

    def sweep_first(folder, wait=True):
        if swept:
            return hold(folder, wait)
        swept.append(folder)
        if before:
            folder.rmdir()
            return hold(folder, wait)
        handle = hold(folder, wait)
        folder.rmdir()
        return handle

    monkeypatch.setattr(scratch, "_hold_folder", sweep_first)
    with scratch_folder(tmp_path / "s") as folder:
        assert folder.is_dir()
        assert [folder] != swept
    assert list(tmp_path.iterdir()) == []
