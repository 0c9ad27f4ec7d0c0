"""Every method has a page of six parts, short, whose figures stand in the tables that were measured."""

import re
import shlex
import sys

import pytest
import yaml

from diffad.config import list_configs, load
from tests.helpers.plugins import ROOT

METHODS = ROOT / "docs" / "methods"
PARTS = (
    "What it does",
    "Picture",
    "Settings and commands",
    "When to use it",
    "How it did here",
    "Reference",
)
HELPERS = {"autoencoder": "diffuse", "autoencoder_kl": "ldm", "classifier": "guided", "smoke": "index"}
"""Configs that are no method, and the page that has them."""
PAINTERS = ("anomalyany",)
"""Pages of methods without a config, which paint lesions and find none."""
TABLES = ("docs/methods/comparison.md", "docs/benchmark.md")
SHARE = re.compile(r"(?<![\w.])\.\d{2,3}\b")
"""A figure below one, as the pages write it."""
NAMES = sorted(set(list_configs()) - set(HELPERS))


def read(name):
    return (METHODS / f"{name}.md").read_text(encoding="utf-8")


def split_parts(name):
    """Return the parts of a page by their headings."""
    pieces = re.split(r"^## (.+)\n", read(name), flags=re.M)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def count_words(text):
    """Count what a reader reads: no code, no addresses, no numbers."""
    text = re.sub(r"^```.*?^```$|<!--.*?-->|\]\([^)]*\)", "", text, flags=re.S | re.M)
    return len(re.findall(r"\S*[A-Za-z]\S*", text))


def count_sentences(text):
    """Count sentences: what ends with a mark, before a space and a capital, or at the end."""
    return len(re.findall(r"[.!?](?=\s+[A-Z\"`]|\s*\Z)", text.strip()))


def list_rows(text):
    """Return the rows of tables that hold a figure."""
    return [line for line in text.splitlines() if line.startswith("|") and re.search(r"\d", line)]


def list_trainings(text):
    """Return (config, changes) of every training that a page asks for."""
    code = "\n".join(re.findall(r"^```bash\n(.*?)^```$", text, re.S | re.M)).replace("\\\n", " ")
    lines = [line for line in code.splitlines() if line.startswith("diffad train ")]
    words = [shlex.split(line, comments=True)[2:] for line in lines]
    return [(config, changes) for config, *changes in words]


def load_hooks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    monkeypatch.delitem(sys.modules, "hooks", raising=False)
    import hooks

    return hooks


def test_every_config_has_a_page():
    pages = {path.stem for path in METHODS.glob("*.md")}
    assert pages == {*NAMES, *PAINTERS, "index", "comparison", "papers", "corruptions"}


@pytest.mark.parametrize("helper", HELPERS)
def test_helper_is_on_the_page_of_what_needs_it(helper):
    assert f"<!-- file configs/{helper}.yaml -->" in read(HELPERS[helper])


@pytest.mark.parametrize("name", [*NAMES, *PAINTERS])
def test_page_has_the_six_parts_in_order(name):
    parts = split_parts(name)
    assert tuple(parts) == PARTS
    assert all(part.strip() for part in parts.values())


@pytest.mark.parametrize("name", [*NAMES, *PAINTERS])
def test_page_says_in_three_sentences_what_is_done(name):
    assert count_sentences(split_parts(name)["What it does"]) == 3


@pytest.mark.parametrize("name", NAMES)
def test_page_is_short(name):
    assert count_words(read(name)) < 400


@pytest.mark.parametrize("name", NAMES)
def test_page_shows_its_picture_and_its_file(name):
    parts = split_parts(name)
    assert f"(../images/methods/{name}.png)" in parts["Picture"]
    assert (ROOT / f"docs/images/methods/{name}.png").is_file()
    assert f"<!-- file configs/{name}.yaml -->" in parts["Settings and commands"]


@pytest.mark.parametrize("name", NAMES)
def test_page_trains_its_method_with_what_the_config_takes(name):
    trainings = list_trainings(read(name))
    assert f"configs/{name}.yaml" in {config for config, _ in trainings}
    for config, changes in trainings:
        assert load(ROOT / config, changes).name


@pytest.mark.parametrize("name", [*NAMES, *PAINTERS])
def test_page_says_when_to_take_it_and_when_not(name):
    text = split_parts(name)["When to use it"]
    assert text.strip().startswith("Take it ")
    assert re.search(r"^Do not ", text, re.M)


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_rows_of_the_tables_that_were_measured(name):
    measured = {row for table in TABLES for row in list_rows((ROOT / table).read_text(encoding="utf-8"))}
    text = split_parts(name)["How it did here"]
    rows = list_rows(text)
    assert not set(rows) - measured
    assert rows or text.strip().startswith("Not measured here")
    assert not rows or re.search(r"`(?:diffad )?(?:benchmark|evaluate) ", text)


@pytest.mark.parametrize("name", NAMES)
def test_figures_between_the_tables_were_measured_too(name):
    pages = [*TABLES, "docs/methods/papers.md"]
    known = {figure for page in pages for figure in SHARE.findall((ROOT / page).read_text(encoding="utf-8"))}
    assert not set(SHARE.findall(read(name))) - known


@pytest.mark.parametrize("name", NAMES)
def test_page_names_its_paper_or_says_that_there_is_none(name):
    text = split_parts(name)["Reference"]
    assert re.search(r"\b20\d\d\b", text)
    assert re.search(r"arxiv\.org/abs/\d{4}\.\d{5}|doi\.org/10\.|PMLR \d+:|github\.com/", text)
    recipe = yaml.safe_load((ROOT / f"configs/{name}.yaml").read_text(encoding="utf-8"))
    assert ("It follows no paper" in text) == ("paper" not in recipe.get("variants", {}))


def test_overview_has_a_line_for_each_with_figures_of_the_comparison():
    rows = {row.split("](")[1].split(".md")[0]: row for row in list_rows(read("index"))}
    assert set(rows) == set(NAMES)
    measured = list_rows(read("comparison"))
    for name, row in rows.items():
        ap, evaluations = (cell.strip() for cell in row.split("|")[4:6])
        label = name.replace("_", "-")
        if ap.startswith("."):
            own = [line for line in measured if line.startswith(f"| `{label}`")]
            assert any(ap in line and f"| {evaluations} |" in line for line in own), name


def test_recipe_is_shown_in_its_own_language(monkeypatch):
    hooks = load_hooks(monkeypatch)
    recipe = (ROOT / "configs/ddpm.yaml").read_text(encoding="utf-8").rstrip()
    assert hooks.on_page_markdown("<!-- file configs/ddpm.yaml -->") == f"```yaml\n{recipe}\n```"
    assert hooks.on_page_markdown("<!-- file docs/hooks.py -->").startswith("```python\n")


def test_sentences_are_counted():
    assert count_sentences("One of 1.5 mm. Two, at level 250! Three") == 2
    assert count_sentences('One. "Two" is quoted. Three ends here.') == 3
