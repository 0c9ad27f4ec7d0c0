"""Every page is followed as it is written: its commands, its Python, its YAML, and the files that it promises."""

import pytest

from tests.helpers.follow import Reader
from tests.helpers.pages import ROOT, list_pages, read_blocks
from tests.helpers.stage import set_stage

EXCEPTIONS = {}


@pytest.mark.parametrize("page", [p for p in list_pages() if read_blocks(p)])
def test_page_does_what_it_says(page, place, short_ways):
    set_stage(place, (ROOT / page).read_text(encoding="utf-8"))
    Reader(exceptions=EXCEPTIONS.get(page, {})).follow(read_blocks(page))
