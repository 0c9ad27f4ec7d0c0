"""Links lead to a file and to a place in it, and pictures have a text and are shown somewhere.

Of the pages of the site `make docs` checks the same on the built pages (`docs/checks.py`).
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def name(page):
    return str(page.relative_to(ROOT))


def prose(page):
    """The text of a page without code."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    return re.sub(r"`[^`\n]*`", "", text)


def places(page):
    """Anchors of a page, as a forge makes them of headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page):
    """Links of a page that lead to no file, or to no place in it."""
    found = []
    for _, _, link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if re.match(r"https?:", link):
            continue
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in places(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_a_place(page):
    assert broken(page) == []


def test_broken_links_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One thing\n[a](#one-thing) [b](#other) [c](page.md#one-thing) [d](none.md)\n`[e](x.md)`\n"
    )
    assert broken(page) == ["#other", "none.md"]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pictures_have_a_text(page):
    assert [link for mark, text, link in LINK.findall(prose(page)) if mark and len(text.split()) < 2] == []


def test_every_picture_is_shown():
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    pictures = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs/images").rglob("*.*")}
    assert len(pictures) > 20
    assert [str(path) for path in sorted(pictures) if str(path) not in text] == []
