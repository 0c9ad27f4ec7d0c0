"""A bar appears for those who wait at a terminal, and nowhere else."""

import io

import pytest

from diffad.data import progress


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
