"""How the built site looks in a browser: what lies beyond the edge, and whether the search answers.

    make docs
    python tests/timings/site.py --widths 1400 1000          by page: what lies beyond the edge or scrolls
    python tests/timings/site.py --search simplex            from file://, as a reader opens it
    python tests/timings/site.py --shots FOLDER              a picture of each page, whole

It needs Chromium (`apt-get install chromium`), so it is run by hand. Exit code 1: something of a page lies
beyond the edge at any width, a table scrolls sideways at 1,400 px or more, or the search finds nothing.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WIDE = 1400
"""Width in pixels from which every table must fit."""

MEASURE = """
const widths = %s, pages = %s, rows = [];
const pause = ms => new Promise(done => setTimeout(done, ms));
const measure = (view, width, page) => {
  const body = view.document, edge = body.documentElement.clientWidth;
  const beyond = [...body.querySelectorAll("body *")].filter(e => {
    const box = e.getBoundingClientRect();
    if (!box.width || box.right <= edge + 1 || getComputedStyle(e).position == "fixed") return false;
    for (let p = e.parentElement; p && p != body.body; p = p.parentElement)
      if (view.getComputedStyle(p).overflowX != "visible" && p.getBoundingClientRect().right <= edge + 1)
        return false;
    return true;
  });
  const scrolls = kind => [...body.querySelectorAll(kind)].filter(e => e.scrollWidth > e.clientWidth + 1);
  const table = e => e.textContent.trim().slice(0, 40) + " +" + (e.scrollWidth - e.clientWidth);
  rows.push({page, width, height: body.documentElement.scrollHeight,
    beyond: beyond.slice(0, 3).map(e => e.tagName + "." + e.className + " " + e.textContent.slice(0, 30)),
    tables: scrolls(".md-typeset__scrollwrap").map(table), code: scrolls("pre > code").map(table)});
};
(async () => {
  for (const page of pages) for (const width of widths) {
    const frame = document.createElement("iframe");
    frame.style = `width:${width}px;height:1000px;border:0`;
    frame.src = page;
    const ready = new Promise(done => frame.onload = done);
    document.body.append(frame);
    await ready; await pause(200);
    measure(frame.contentWindow, width, page);
    frame.remove();
  }
  document.body.innerHTML = "<pre id=rows></pre>";
  document.getElementById("rows").textContent = JSON.stringify(rows);
})();
"""


def open_page(url: str, *options: str) -> str:
    """Return what Chromium prints of a page after it has run."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", *options, url]
    return subprocess.run(command, capture_output=True, text=True, timeout=300).stdout


def measure_pages(site: Path, widths: list[int]) -> list[dict]:
    """Return what each page at each width has beyond the edge, and what of it scrolls sideways."""
    pages = [str(path.relative_to(site)) for path in sorted(site.rglob("*.html"))]
    script = MEASURE % (json.dumps(widths), json.dumps([page for page in pages if page != "404.html"]))
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(site, Path(folder) / "site")
        (copy / "measure.html").write_text(
            f"<!doctype html><body><script>{script}</script>", encoding="utf-8"
        )
        options = ["--allow-file-access-from-files", "--dump-dom", "--virtual-time-budget=120000"]
        printed = open_page(f"file://{copy}/measure.html", *options)
    match = re.search(r'<pre id="rows">(.*?)</pre>', printed, re.S)
    if match is None:
        raise RuntimeError(f"{site}: expected measures of {len(pages)} pages, got {printed[-500:]!r}")
    return json.loads(html.unescape(match[1]))


def search_site(site: Path, words: str) -> list[str]:
    """Return the pages that the search box lists for some words, opened from file:// as by a reader."""
    url = f"file://{site}/index.html?q={words}"
    printed = open_page(url, "--dump-dom", "--virtual-time-budget=10000")
    return re.findall(r'<a href="([^"]+)" class="md-search-result__link"', printed)


def shoot_pages(site: Path, folder: Path, rows: list[dict]) -> None:
    """Draw each page whole, in the window that was measured."""
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        name = f"{row['page'].removesuffix('.html').replace('/', '-')}-{row['width']}.png"
        size = f"--window-size={row['width']},{min(row['height'] + 100, 16_000)}"
        open_page(f"file://{site}/{row['page']}", f"--screenshot={folder / name}", size, "--hide-scrollbars")


def main() -> int:
    """Print what was measured; return the exit code."""
    parser = argparse.ArgumentParser(description="How the built site looks in a browser.")
    parser.add_argument("--site", type=Path, default=ROOT / "site")
    parser.add_argument("--widths", type=int, nargs="+", default=[1400, 1000])
    parser.add_argument("--search", default="simplex")
    parser.add_argument("--shots", type=Path, help="folder for a picture of each page at the first width")
    asked = parser.parse_args()
    site = asked.site.resolve()
    rows, faults = measure_pages(site, asked.widths), 0
    for row in rows:
        bad = row["beyond"] or (row["tables"] and row["width"] >= WIDE)
        faults += bool(bad)
        if row["beyond"] or row["tables"] or row["code"]:
            print(f"{'!' if bad else ' '} {row['width']} {row['page']}")
            for kind in ("beyond", "tables", "code"):
                for text in row[kind]:
                    print(f"      {kind}: {' '.join(text.split())}")
    pages = search_site(site, asked.search)
    print(
        f"{len(rows)} measures, {faults} bad; the search for {asked.search!r} lists {len(pages)}: {pages[:3]}"
    )
    if asked.shots:
        shoot_pages(site, asked.shots, [row for row in rows if row["width"] == asked.widths[0]])
    return 1 if faults or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
