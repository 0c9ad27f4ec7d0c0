"""Names of others, in terminals and tables: shown, and never obeyed."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffad.io.escape import escape_text, format_csv, guard_cell, unguard_cell
from diffad.io.terminal import Progress, plain_text, say, tell

ANY_TEXT = st.text(st.characters(codec=None, categories=None, exclude_categories=()), max_size=20)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sub-01_T1w", "sub-01_T1w"),
        ("Größe 脳 🧠", "Größe 脳 🧠"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("x\nfailed y: no", r"x\nfailed y: no"),
        ("a\rb\tc\x00", r"a\rb\tc\x00"),
        ("a\u202egpj.exe", r"a\u202egpj.exe"),
        ("a\u2028b\x85c\x9bd", r"a\u2028b\x85c\x9bd"),
        ("s\udcff\udce4", r"s\xff\xe4"),
        ("\ud800", r"\ud800"),
    ],
)
def test_characters_that_command_are_shown_by_number(text, shown):
    assert escape_text(text) == shown
    assert escape_text(shown) == shown


@given(ANY_TEXT)
def test_shown_text_can_be_printed_anywhere(text):
    shown = escape_text(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("cell", "guarded"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(1)", "'@SUM(1)"),
        ("+1+cmd", "'+1+cmd"),
        ("-x", "'-x"),
        ("'=x", "''=x"),
        ("'x", "'x"),
        ("-0.25", "-0.25"),
        ("+1e-5", "+1e-5"),
        ("-inf", "-inf"),
        ("\t=x", r"\t=x"),
        (-1.5, -1.5),
        (None, None),
        ("", ""),
    ],
)
def test_formulas_become_text(cell, guarded):
    assert guard_cell(cell) == guarded
    if isinstance(cell, str) and cell.isprintable():
        assert unguard_cell(guarded) == cell


@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=5))
def test_table_holds_as_many_rows_and_cells_as_were_put_in_and_no_formula(rows):
    text = format_csv(["a", "b"], [{"a": a, "b": b} for a, b in rows])
    back = list(csv.DictReader(io.StringIO(text, newline="")))
    kept = [(a, b) for a, b in rows]
    assert [(unguard_cell(r["a"]), unguard_cell(r["b"])) for r in back] == [
        (escape_text(a), escape_text(b)) for a, b in kept
    ]
    assert not any(cell.startswith(("=", "@")) for r in back for cell in r.values())


def test_lines_hold_what_was_said_and_no_more(capsys):
    say("failed \x1b]0;title\x07x\nfailed y: forged")
    tell("1 done; see a\nb", "next")
    told = capsys.readouterr()
    assert told.err == "failed \\x1b]0;title\\x07x\\nfailed y: forged\n"
    assert told.out == "1 done; see a\\nb\nnext\n"


def test_lines_fit_a_terminal_that_knows_no_unicode(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stderr", stream)
    say("Größe")
    assert stream.buffer.getvalue() == b"Gr\\xf6\\xdfe\n"


def test_brackets_of_names_are_no_markup():
    assert plain_text("[red]a[/x]\x1b").plain == "[red]a[/x]\\x1b"
    with Progress(1) as progress, progress.scan("a[/]b[bold]\x1b"):
        (task,) = progress._bar.tasks
        column = progress._bar.columns[0]
        assert column.render(task).plain == "scan 1 of 1: a[/]b[bold]\\x1b"
