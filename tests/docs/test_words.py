"""Prose is in one spelling of English, the British; `make lint` looks for misspelt words."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
SOURCES = [
    path for folder in ("diffad", "noise", "samplers") for path in sorted((ROOT / folder).rglob("*.py"))
]
STEMS = re.compile(
    "analyz|categoriz|centraliz|crystalliz|discretiz|emphasiz|factoriz|generaliz|harmoniz|initializ|localiz|"
    "maximiz|minimiz|normaliz|optimiz|organiz|parameteriz|penaliz|quantiz|randomiz|realiz|recogniz|regulariz|"
    "serializ|specializ|stabiliz|standardiz|summariz|synthesiz|tokeniz|utiliz|vectoriz|visualiz"
)
WHOLE = re.compile(
    r"artifacts?|behaviors?|canceled|centers?|centered|colors?|colored|edema|favor\w*|fibers?|gray|hemorrh\w+|"
    r"labeled|labeling|liters?|millimeters?|modeled|modeling|neighbor\w*|tumors?|unlabeled"
)
KEPT = {"analyze", "generalizability"}
"""A format of files, and a word of a title."""


@cache
def is_american(word):
    return word not in KEPT and bool(WHOLE.fullmatch(word) or STEMS.search(word))


def american(text):
    """Words in American spelling, outside code, addresses, paths and names of arguments."""
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.S | re.M)
    text = re.sub(r"`+[^`]*`+|\]\([^)]*\)|\S+/\S+|^ +\w+:", "", text, flags=re.M)
    return [word for word in re.findall(r"[a-z]+", text.lower()) if is_american(word)]


def sentences(path):
    """Docstrings without their references, which are titles, and strings that hold four words in a row."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if re.search(r"(?:\b[A-Za-z]+ ){3,}", text):
            yield re.sub(r"\n *References?:.*", "", text, flags=re.S)


def test_american_words_are_found():
    prose = "Normalize the color of neighbors, `center`, test/tumor; the Analyze format has a centre."
    text = f"{prose}\n    gray: a shade.\n```\ngray\n```\n"
    assert american(text) == ["normalize", "color", "neighbors"]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_are_in_british_english(page):
    assert american(page.read_text(encoding="utf-8")) == []


def test_docstrings_and_messages_are_in_british_english():
    assert len(SOURCES) > 300
    suspects = [
        path for path in SOURCES if american(path.read_text(encoding="utf-8"))
    ]  # most need no parsing
    found = [(str(path.relative_to(ROOT)), american(text)) for path in suspects for text in sentences(path)]
    assert [pair for pair in found if pair[1]] == []
