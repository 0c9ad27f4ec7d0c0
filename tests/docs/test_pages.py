"""Every page is followed as it is written: its commands, its Python, its YAML, and the files that it names.

Tiny recipes and models stand for those of the same names. What takes longer is done by the tests marked slow.
"""

import pytest

from tests.helpers.follow import LATER, PageError, Reader
from tests.helpers.pages import ROOT, Block, list_commands, list_pages, list_promises, read_blocks, read_page
from tests.helpers.stage import set_stage

ENVIRONMENT = "makes or changes an environment, with packages from the network"
CONTAINER = "needs a container engine; tests/timings/container.py does the same without"
BY_HAND = "a measurement of many minutes, which is made by hand"
EXCEPTIONS = {
    "README.md": dict.fromkeys(['pip install ".[prepare]"', "make demo", "make test"], ENVIRONMENT),
    "docs/index.md": {'pip install ".[prepare]"': ENVIRONMENT},
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
    "docs/guide/containers.md": {
        command: CONTAINER
        for command in list_commands("docs/guide/containers.md")
        if command.split()[0] in ("docker", "podman", "apptainer")
    } | {
        "python -m tests.timings.container --place /var/tmp/container --head head.nii.gz": BY_HAND,
    },
    "docs/guide/console.md": {"diffad predict --model ix<TAB>": "a key: tests/cli/test_completion.py"},
    "docs/performance.md": {
        "python tests/timings/cohort.py": BY_HAND,
        "python tests/timings/memory.py [--prepare]": BY_HAND,
    },
}  # fmt: skip
"""Commands that are not typed, by page, and why."""

CODES = {
    "docs/guide/quickstart.md": {"diffad info head.nii.gz": 1},
    "docs/guide/template_space.md": {"diffad group maps --out maps_group": 1},
}
"""Exit codes of commands that say no, by page: a head as it is needs --prepare, and the tiny model finds far
too much in these scans to know them."""

WARNED = "the tiny model warns of both scans"
OTHER_LINES = {
    "docs/guide/console.md": {
        "1 of 2: sub-01_T1w: 0.31 ml detected": WARNED,
        "of 2 scans with results, 1 outside the domain": WARNED,
    }
}
"""Beginnings of lines that a page shows and that are others here, and why."""

OTHER_MODEL = "of a model with other parts or another calibration than the tiny one"
EXAMPLE = "a name that explains a rule"
UNMADE = {
    "README.md": {
        "site/index.html": "the guide, which tests/docs/test_site.py builds",
    },
    "docs/guide/compare.md": {"*_pvalue.nii.gz": OTHER_MODEL},
    "docs/guide/cohort.md": {
        "*_pvalue.nii.gz": OTHER_MODEL,
        "*_std.nii.gz": OTHER_MODEL,
        "T1_std.nii.gz": EXAMPLE,
        "sub-01/ses-1/anat/sub-01_T1w.nii.gz": EXAMPLE,
        "sub-01_desc-preproc_T1w.nii.gz": EXAMPLE,
    },
    "docs/guide/bids_app.md": {
        "*_desc-pvalue_T1w.nii.gz": OTHER_MODEL,
        "*_desc-std_T1w.nii.gz": OTHER_MODEL,
    },
    "docs/performance.md": {"log.jsonl": "of a training, which this page does not make"},
    "docs/guide/train.md": {
        "data.csv": "a table that a reader may write",
        "healthy.safetensors": "with an option of diffad calibrate, see tests/predict/test_calibrate.py",
        "sensitivity.md": "with an option of diffad calibrate, see tests/predict/test_calibrate.py",
    },
}
"""Files that a page names and that are not there when it has been followed, and why."""

WRONG = {
    "bash": "diffad info nothing.nii.gz\n",
    "session": "$ diffad info scan.nii.gz\nkind ... model\n",
    "python": "import diffad\n\ndiffad.nothing\n",
    "yaml": "sampler: {name: nothing}\n",
}
PAGES = [page for page in list_pages() if any(b.kind not in ("text", "toml") for b in read_blocks(page))]
METHODS = [page for page in PAGES if page.startswith("docs/methods/")]
LONG = sorted({page for page in PAGES if any(map(LATER.match, list_commands(page)))} | set(METHODS))


def follow(page, place, **options):
    """Follow a page to its end, and look for the files that it names."""
    set_stage(place, read_page(page))
    Reader(EXCEPTIONS.get(page, {}), OTHER_LINES.get(page, {}), CODES.get(page, {}), **options).follow(
        read_blocks(page)
    )
    if page in LONG and not options.get("in_full"):
        return
    names = [name for name in list_promises(page) if not any(place.rglob(name))]
    absent = [name for name in names if name.startswith("site/") or not any(ROOT.glob(name))]
    assert absent == sorted(UNMADE.get(page, {})), f"{page}: not made, or made after all"


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


@pytest.mark.parametrize("page", OTHER_LINES)
def test_other_lines_stand_on_their_page(page):
    lines = read_page(page).splitlines()
    assert all(any(line.startswith(start) for line in lines) for start in OTHER_LINES[page])


def test_page_that_is_wrong_is_told(place, short_ways):
    """Each kind of block can fail: a command, a line that is not printed, Python, YAML."""
    set_stage(place, "scan.nii.gz")
    for kind, text in WRONG.items():
        with pytest.raises(PageError, match="page:1"):
            Reader().follow([Block("page", 1, kind, text)])
    Reader().follow([Block("page", 1, "session", "$ diffad info scan.nii.gz\nkind  scan\n")])
