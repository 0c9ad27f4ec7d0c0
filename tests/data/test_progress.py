"""A bar appears for those who wait at a terminal, and a line now and then elsewhere."""

import io
import json

import pytest

from diffad.data import progress
from diffad.io.console import QUIET, Console, use_console


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("error", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_short_work_shows_nothing(monkeypatch, error, capsys):
    monkeypatch.setattr("sys.stderr", error)
    assert list(progress.track([3, 1, 2], "reading")) == [3, 1, 2]
    assert error.getvalue().strip() == ""
    assert capsys.readouterr().out == ""


def test_long_work_shows_a_bar_on_stderr_of_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr(progress, "PATIENCE", -1.0)
    assert list(progress.track([3, 1, 2], "reading")) == [3, 1, 2]
    assert "reading" in progress.sys.stderr.getvalue()
    assert capsys.readouterr().out == ""


def test_error_in_between_is_passed_on_and_stops_the_bar(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr(progress, "PATIENCE", -1.0)

    def work():
        for number in progress.track([1, 0], "dividing"):
            1 / number

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            work()


def track_slowly(monkeypatch, console, count=4):
    """Track ``count`` items of 6 seconds each by a clock of our own."""
    clock = iter(range(0, 600, 6))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with use_console(console):
        assert list(progress.track(list(range(count)), "reading scans")) == list(range(count))


def test_long_work_has_a_line_every_ten_seconds_in_a_pipe(monkeypatch, capsys):
    track_slowly(monkeypatch, Console())
    out, error = capsys.readouterr()
    assert error.splitlines() == [
        "reading scans: 2 of 4, about 12 s to go",
        "reading scans: 4 of 4, 24 s in all",
    ]
    assert out == ""


def test_end_of_work_is_said_where_some_was(monkeypatch, capsys):
    track_slowly(monkeypatch, Console(), count=3)
    assert capsys.readouterr().err.splitlines()[-1] == "reading scans: 3 of 3, 18 s in all"


def test_programs_are_told_numbers(monkeypatch, capsys):
    track_slowly(monkeypatch, Console(as_json=True, command="train"))
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (first["event"], first["command"], first["what"]) == ("progress", "train", "reading scans")
    assert (first["done"], first["total"], first["seconds"]) == (2, 4, 12.0)


def test_quiet_work_is_silent(monkeypatch, capsys):
    track_slowly(monkeypatch, Console(level=QUIET))
    assert capsys.readouterr() == ("", "")
