"""What a stranger meets first: README and landing page say the same, briefly, with small pictures."""

import re

import pytest
from PIL import Image

from diffad.registry import REGISTRIES
from tests.helpers.plugins import ROOT

DOCS, IMAGES = ROOT / "docs", ROOT / "docs" / "images"
README, LANDING = (ROOT / name for name in ("README.md", "docs/index.md"))
PICTURES = ("showcase.png", "page.png", "index.png")
TABLED = (
    "noises",
    "samplers",
    "guidances",
    "saliencies",
    "scores",
    "models",
    "detectors",
    "datasets",
    "corruptions",
)
"""Kinds of parts whose names stand on the page of the parts."""


def read_block(path):
    """Commands of the first block, without comments."""
    block = re.search(r"```\w*\n(.*?)```", path.read_text(encoding="utf-8"), re.S)[1]
    return [line.partition("#")[0].strip() for line in block.splitlines()]


def test_both_begin_with_one_sentence_one_picture_and_two_commands():
    starts = []
    for page in (README, LANDING):
        text = page.read_text(encoding="utf-8")
        starts.append((re.search(r"^\*\*(diffad .*?)\*\*$", text, re.S | re.M)[1], read_block(page)))
        first = re.search(r"!\[[^]]+\]\((\S+)\)", text)[1]
        assert (page.parent / first).resolve() == IMAGES / "showcase.png"
    assert starts[0] == starts[1]
    sentence, commands = starts[0]
    assert sentence.count(".") == 1
    assert [command.split()[0] for command in commands] == ["pip", "diffad"]


@pytest.mark.parametrize("page", [README, LANDING], ids=["readme", "landing"])
def test_three_doors_lead_on(page):
    _, *doors = re.split(r"\*\*(?=Use a model|Train one|Compare methods)", page.read_text(encoding="utf-8"))
    ways = ("guide/quickstart.md", "guide/train.md", "guide/compare.md")
    assert len(doors) == len(ways)
    assert all(f"{way})" in door for way, door in zip(ways, doors, strict=True))


def test_readme_is_read_in_minutes():
    assert len(README.read_text(encoding="utf-8").split()) < 1300
    assert len(LANDING.read_text(encoding="utf-8").split()) < 450


@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_small_and_says_whose_scan_it_shows(name):
    path = IMAGES / name
    assert path.stat().st_size < 400_000
    with Image.open(path) as picture:
        assert picture.size[0] >= 1400
    pages = [p for p in (README, *DOCS.rglob("*.md")) if f"images/{name})" in p.read_text(encoding="utf-8")]
    assert pages
    assert all("TCGA-FG-6692" in p.read_text(encoding="utf-8") for p in pages)
    assert all("CC BY 3.0" in p.read_text(encoding="utf-8") for p in pages)


def test_pictures_of_results_are_small_together():
    assert sum((IMAGES / name).stat().st_size for name in PICTURES) < 1_500_000


def test_page_of_the_parts_names_every_part():
    text = (DOCS / "guide" / "parts.md").read_text(encoding="utf-8")
    names = {name for kind in TABLED for name in REGISTRIES[kind]}
    assert sorted(name for name in names if f"`{name}`" not in text) == []


def test_page_of_comparing_names_every_protocol():
    text = (DOCS / "guide" / "compare.md").read_text(encoding="utf-8")
    assert [name for name in REGISTRIES["protocols"] if f"`{name}`" not in text] == []
