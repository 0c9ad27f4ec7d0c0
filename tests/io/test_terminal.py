"""Errors in one line: what a user can mend as it is, anything else with its kind."""

import pytest

from diffad.io.atomic import UnwritableError
from diffad.io.terminal import format_error, is_debugging, is_expected, say
from diffad.registry import UnknownNameError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("expected a,\n  got b"), "expected a, got b"),
        (ValueError(), "ValueError"),
        (FileNotFoundError(2, "No such file or directory", "x.nii"), "x.nii: No such file or directory"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("x.nii: expected a scan"), "x.nii: expected a scan"),
        (UnwritableError(28, "No space left", "out"), "out: cannot be written (No space left)"),
        (ImportError("pip install x"), "pip install x"),
        (UnknownNameError("unknown noise 'x'"), "unknown noise 'x'"),
        (KeyError("x"), "KeyError: 'x'"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (RuntimeError("out of\nmemory"), "RuntimeError: out of memory"),
    ],
    ids=str,
)
def test_error_is_put_into_one_line(error, text):
    assert format_error(error) == text
    assert is_expected(error) == (not text.startswith(("KeyError", "Zero", "Runtime")))


@pytest.mark.parametrize(("value", "answer"), [("", False), ("0", False), ("1", True), ("yes", True)])
def test_debugging_is_asked_of_the_environment(monkeypatch, value, answer):
    monkeypatch.setenv("DIFFAD_DEBUG", value)
    assert is_debugging() is answer


@pytest.mark.parametrize(("value", "shown"), [("0", False), ("1", True)])
def test_where_an_error_comes_from_is_for_those_who_debug(monkeypatch, capsys, value, shown):
    monkeypatch.setenv("DIFFAD_DEBUG", value)
    say("failed s0", ValueError("inside"))
    text = capsys.readouterr().err
    assert text.startswith("failed s0\n")
    assert ("ValueError: inside" in text) is shown
