"""All code of the docs can be read: Python compiles and passes ruff, shell, YAML and TOML parse."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.S | re.M)
INDENTED = re.compile(r"(?:\A|\n\n|^#[^\n]*\n)( {4,}[^ \n][^\n]*)", re.M)
BOXES = re.compile(r"^(?:!!!|-  ) [^\n]*\n(?:\n*(?: {4}[^\n]*\n))*", re.M)
"""Admonitions and cards, whose text is indented."""
KINDS = {"bash", "python", "yaml", "toml", "text", ""}
RULES = ["--isolated", "--line-length=110", "--select=E,F", "--ignore=E402,E701,E702"]


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page, kind):
    return [body for word, body in FENCE.findall(page.read_text(encoding="utf-8")) if word == kind]


def having(kind):
    return [pytest.param(page, id=name(page)) for page in PAGES if blocks(page, kind)]


@pytest.mark.parametrize("page", having("python"))
def test_python_compiles(page):
    for body in blocks(page, "python"):
        compile(body, name(page), "exec")


def test_python_passes_ruff(tmp_path):
    """A page is one program, as blocks go on from one another; each plug-in of CONTRIBUTING is a file."""
    for page in PAGES:
        bodies = blocks(page, "python")
        programs = bodies if page.name == "CONTRIBUTING.md" else ["\n\n".join(bodies)]
        for number, text in enumerate(programs):
            if text.strip():
                stem = name(page).removesuffix(".md").replace("/", "-")
                (tmp_path / f"{stem}-{number}.py").write_text(text, encoding="utf-8")
    ruff = shutil.which("ruff", path=Path(sys.executable).parent)
    run = subprocess.run([ruff, "check", *RULES, tmp_path], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert len(list(tmp_path.iterdir())) > 10


@pytest.mark.parametrize("page", having("bash"))
def test_shell_parses(page):
    script = "\n".join(blocks(page, "bash"))
    run = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("page", having("yaml"))
def test_yaml_parses(page):
    for body in blocks(page, "yaml"):
        assert isinstance(yaml.safe_load(body), dict)


@pytest.mark.parametrize("page", having("toml"))
def test_toml_parses(page):
    for body in blocks(page, "toml"):
        assert tomllib.loads(body)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_code_stands_in_fences_of_known_languages(page):
    text = page.read_text(encoding="utf-8")
    assert {word for word, _ in FENCE.findall(text)} <= KINDS
    assert INDENTED.findall(BOXES.sub("", FENCE.sub("x", text))) == []
