"""What the built site must hold: it is read from a folder, without a network, by a stranger."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
"""Tags that load something, and the attribute that says what."""
NETWORK = re.compile(r"(?:https?:)?//")
STYLE_LOADS = re.compile(r"(?:url\(\s*[\"']?|@import\s+[\"'])(?:https?:)?//[^\s\"')]+")
PROSE_CODE = re.compile(r"```|(?:^|\n)(?:- |\| |#+ )")
"""Markdown that was not understood: a fence, a list, a table or a heading within a paragraph."""
VOID = {"img", "br", "hr", "input", "link", "meta", "source", "wbr"}


@event_priority(-200)  # after the plug-in `offline`, which writes the index of the search as a script
def on_post_build(config: Any, **_: Any) -> None:
    """Stop the build where a page would not do for a reader without a network."""
    faults = list(find_faults(Path(config["site_dir"])))
    if faults:
        raise PluginError("\n".join([f"expected a site without faults, found {len(faults)}:", *faults]))


class Page(HTMLParser):
    """What is needed of a page: links, what it loads, its headings, and text that should not be in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.headings: list[list[Any]] = []
        self.nameless: list[str] = []
        self.paragraphs: list[str] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag links to, loads or names."""
        found = dict(attrs)
        self.ids |= {value for name in ("id", "name") if (value := found.get(name))}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"] or "")
        if tag in LOADED and found.get(LOADED[tag]) and found.get("rel") not in ("canonical", "prev", "next"):
            self.loads.append(found[LOADED[tag]] or "")
        if tag == "img" and not (found.get("alt") or "").strip():
            self.nameless.append(found.get("src") or "")
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append([int(tag[1]), ""])
        if tag == "p":
            self.paragraphs.append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close a tag, and what was left open within it."""
        while tag in self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Add text to its heading or paragraph; code is none of it."""
        if {"code", "pre", "script", "style"}.isdisjoint(self._open):
            if "p" in self._open:
                self.paragraphs[-1] += data
            if any(re.fullmatch(r"h[1-6]", tag) for tag in self._open) and data != "¶":
                self.headings[-1][1] += data
        elif any(re.fullmatch(r"h[1-6]", tag) for tag in self._open):
            self.headings[-1][1] += data


def find_faults(site: Path) -> Iterator[str]:
    """Yield a line for each fault of a built site."""
    index = site / "search" / "search_index.js"
    if not (index.is_file() and index.read_text(encoding="utf-8").startswith("var __index = {")):
        yield f"{index}: expected the index of the search as a script, found none"
    for path in sorted(site.rglob("*.css")):
        for load in STYLE_LOADS.findall(path.read_text(encoding="utf-8")):
            yield f"{path}: expected nothing from a network, found {load}"
    read = cache(lambda path: Page(path.read_text(encoding="utf-8")))
    for path in sorted(site.rglob("*.html")):
        if path.name != "404.html":  # written for the root of a server
            page = read(path)
            lines = [*find_page_faults(page), *find_broken_links(path, page, read)]
            yield from (f"{path}: {line}" for line in lines)


def find_page_faults(page: Page) -> Iterator[str]:
    """Yield what is wrong within a page."""
    yield from (f"expected nothing from a network, found {u}" for u in page.loads if NETWORK.match(u))
    yield from (f"expected an alternative text, found none for {u}" for u in page.nameless)
    for text in page.paragraphs:
        if match := PROSE_CODE.search(text):
            yield f"expected prose, found Markdown: {text[match.start() : match.start() + 60]!r}"
    levels = [level for level, _ in page.headings]
    if levels[:1] != [1] or levels.count(1) != 1:
        yield f"expected one heading of level 1, the first, found levels {levels[:6]}"
    for (above, _), (level, text) in zip(page.headings, page.headings[1:], strict=False):
        if level > above + 1:
            yield f"expected a heading of level {above + 1}, found level {level}: {text!r}"
    yield from ("expected a heading with text, found none" for _, text in page.headings if not text.strip())


def find_broken_links(path: Path, page: Page, read: Any) -> Iterator[str]:
    """Yield the links and loads of a page that lead to no file, or to no place in it."""
    for link in [*page.links, *page.loads]:
        name, _, anchor = unquote(link).partition("#")
        if re.match(r"[a-z]+:|//", name) or name.startswith("?"):
            continue
        target = (path.parent / name.partition("?")[0]).resolve() if name else path
        if not target.is_file():
            yield f"expected a file of the site, found none: {link}"
        elif anchor and target.suffix == ".html" and anchor not in read(target).ids:
            yield f"expected a place of {target.name}, found none: {link}"
