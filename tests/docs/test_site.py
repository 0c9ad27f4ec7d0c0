"""The site that `make docs` builds is read from a folder: it searches, and loads nothing from a network."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
PAGE = """<html><head><link rel="stylesheet" href="style.css">
<script src="search/search_index.js"></script></head>
<body><h1 id="top">Title</h1><p>Words, <code>- code</code> and <a href="other.html#here">a link</a>.</p>
<h2>Part</h2><a href="https://example.org">far</a><img src="a.png" alt="a scan and its map"></body></html>"""
FAULTS = {
    "script from a network": ('src="search', 'src="https://cdn.example/search', "network"),
    "style from a network": ('href="style.css"', 'href="//fonts.example/a.css"', "network"),
    "picture from a network": ('src="a.png"', 'src="http://example.org/a.png"', "network"),
    "picture without a text": ('alt="a scan and its map"', 'alt=""', "alternative text"),
    "no such page": ("other.html#here", "none.html", "file of the site"),
    "no such place": ("other.html#here", "other.html#there", "place of other.html"),
    "no such place here": ("other.html#here", "#nowhere", "place of page.html"),
    "no such picture": ('src="a.png"', 'src="b.png"', "file of the site"),
    "list as prose": ("Words,", "Words:\n- one\n- two", "Markdown"),
    "fence as prose": ("Words,", "Words ```python no-run", "Markdown"),
    "two titles": ("<h2>Part</h2>", "<h1>Part</h1>", "level 1"),
    "skipped level": ("<h2>Part</h2>", "<h4>Part</h4>", "level 2"),
    "empty heading": ("<h2>Part</h2>", "<h2> </h2>", "heading with text"),
}


def load_module(name):
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECKS, HOOKS = load_module("checks"), load_module("hooks")


@pytest.fixture
def site(tmp_path):
    """A site of two pages without a fault."""
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "search_index.js").write_text("var __index = {}")
    (tmp_path / "style.css").write_text("a { background: url(a.png) }")
    (tmp_path / "a.png").touch()
    (tmp_path / "page.html").write_text(PAGE)
    (tmp_path / "other.html").write_text('<h1 id="here">Other</h1>')
    return tmp_path


def test_good_site_has_no_fault(site):
    assert list(CHECKS.find_faults(site)) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_of_a_page_is_found(site, fault):
    old, new, words = FAULTS[fault]
    assert old in PAGE
    (site / "page.html").write_text(PAGE.replace(old, new))
    lines = list(CHECKS.find_faults(site))
    assert len(lines) == 1
    assert "page.html: expected" in lines[0]
    assert words in lines[0]


def test_style_that_loads_from_a_network_is_found(site):
    (site / "style.css").write_text(
        '@import "https://fonts.example/a.css"; a { background: url(//b.example/c) }'
    )
    assert [line.rpartition(" ")[2] for line in CHECKS.find_faults(site)] == [
        '"https://fonts.example/a.css',
        "url(//b.example/c",
    ]


def test_site_without_an_index_as_script_stops_the_build(site):
    from mkdocs.exceptions import PluginError

    (site / "search" / "search_index.js").unlink()
    with pytest.raises(PluginError, match=r"search_index\.js: expected the index"):
        CHECKS.on_post_build({"site_dir": str(site)})


def test_search_has_what_it_needs_without_a_network():
    assert "offline" in CONFIG["plugins"]
    (script,) = CONFIG["extra"]["polyfills"]
    assert "IFrameWorker" in (ROOT / "docs" / script).read_text(encoding="utf-8")
    assert CONFIG["strict"]
    assert CONFIG["validation"]["links"]["anchors"] == "warn"
    assert CONFIG["hooks"] == ["docs/hooks.py", "docs/checks.py"]


def test_words_behind_the_language_of_a_fence_are_for_tests_alone():
    text = "```python no-run\na\n```\n\n```bash\nb\n```\n"
    assert HOOKS.on_page_markdown(text) == text.replace(" no-run", "")


@pytest.mark.slow  # about 10 s
def test_site_is_built_and_its_index_holds_the_pages(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    text = (tmp_path / "site/search/search_index.js").read_text(encoding="utf-8")
    entries = json.loads(text.removeprefix("var __index = "))["docs"]
    pages = {entry["location"].partition("#")[0] for entry in entries if "simplex" in entry["text"]}
    assert {"reference/noise.html", "guide/commands.html"} <= pages
