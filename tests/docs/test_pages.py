"""Every page is followed as it is written: its commands, its Python, its YAML, and the files that it names.

Tiny recipes and models stand for those of the same names. What takes longer is done by the tests marked slow.
"""

import pytest

from tests.helpers.follow import LATER, Reader
from tests.helpers.pages import ROOT, list_commands, list_pages, list_promises, read_blocks, read_page
from tests.helpers.stage import set_stage

ENVIRONMENT = "makes or changes an environment, with packages from the network"
BY_HAND = "a measurement of many minutes, which is made by hand"
EXCEPTIONS = {
    "README.md": {"make demo": ENVIRONMENT, "make test": ENVIRONMENT},
    "CONTRIBUTING.md": {
        "make venv": ENVIRONMENT,
        "make test": ENVIRONMENT,
        "make lint": ENVIRONMENT,
        ".venv/bin/pre-commit install": ENVIRONMENT,
        "python -m tests.fuzz.run --count 5000 --seed 0": BY_HAND,
        "python -m tests.fuzz.run --targets nifti --seed 0 --only 111": BY_HAND,
    },
    "docs/guide/install.md": {
        "python -m venv .venv && source .venv/bin/activate": ENVIRONMENT,
        "pip install .": ENVIRONMENT,
        'pip install ".[prepare]"': ENVIRONMENT,
    },
    "docs/guide/console.md": {"diffad predict --model ix<TAB>": "a key, which tests/cli/test_completion.py presses"},
    "docs/performance.md": {
        "python tests/timings/cohort.py": BY_HAND,
        "python tests/timings/memory.py [--prepare]": BY_HAND,
    },
}  # fmt: skip
"""Commands that are not typed, by page, and why."""

UNMADE = {}
"""Files that a page names and that are not there when it has been followed, and why."""

PAGES = [page for page in list_pages() if any(b.kind not in ("text", "toml") for b in read_blocks(page))]
METHODS = [page for page in PAGES if page.startswith("docs/methods/")]
LONG = sorted({page for page in PAGES if any(map(LATER.match, list_commands(page)))} | set(METHODS))


def follow(page, place, **options):
    """Follow a page to its end, and look for the files that it names."""
    set_stage(place, read_page(page))
    Reader(EXCEPTIONS.get(page, {}), **options).follow(read_blocks(page))
    absent = [name for name in list_promises(page) if not any(place.rglob(name)) and not any(ROOT.glob(name))]
    assert sorted(absent) == sorted(UNMADE.get(page, {}))


@pytest.mark.parametrize("page", [page for page in PAGES if page not in METHODS])
def test_page_does_what_it_says(page, place, short_ways):
    follow(page, place)


@pytest.mark.slow
@pytest.mark.parametrize("page", LONG)
def test_page_does_all_that_it_says(page, place, tiny_models):
    follow(page, place, in_full=True)


@pytest.mark.parametrize("page", EXCEPTIONS)
def test_exceptions_are_commands_of_their_page(page):
    assert set(EXCEPTIONS[page]) <= set(list_commands(page))
