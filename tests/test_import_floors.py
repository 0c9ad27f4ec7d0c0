"""Imports run downward only; import-linter reads the floors from pyproject.toml."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINT = (
    "from importlinter.cli import lint_imports as lint; raise SystemExit(lint(no_cache=True, no_logo=True))"
)
VIOLATIONS = [
    ("noise", "diffad.score"),
    ("schedule", "diffad.denoise"),
    ("samplers", "diffad.score"),
    ("guidance", "diffad.samplers"),
    ("denoise", "diffad.pipeline"),
    ("evaluation", "diffad.cli"),
]


def lint(folder):
    return subprocess.run(
        [sys.executable, "-c", LINT], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def checkout(tmp_path):
    """A copy of the package, links kept, in which a test may break a rule."""
    for name in ("diffad", "noise", "samplers", "configs"):
        shutil.copytree(
            ROOT / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_run_downward_only():
    run = lint(ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 broken" in run.stdout


@pytest.mark.parametrize(("importer", "imported"), VIOLATIONS)
def test_upward_or_sideways_import_is_caught(checkout, importer, imported):
    module = checkout / "diffad" / f"{importer}.py"
    module = module if module.exists() else checkout / "diffad" / importer / "__init__.py"
    module.write_text(f"{module.read_text()}\nimport {imported}\n")
    run = lint(checkout)
    assert run.returncode == 1
    assert f"diffad.{importer} -> {imported}" in run.stdout


def test_new_module_must_be_given_a_floor(checkout):
    (checkout / "diffad" / "attic.py").write_text('"""A module on no floor."""\n')
    run = lint(checkout)
    assert run.returncode == 1
    assert "attic" in run.stdout


def test_page_of_the_design_shows_the_floors():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    floors = [set(re.split(r" [:|] ", layer)) for layer in settings["contracts"][0]["layers"]]
    text = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    lines = re.search(r"^```text\n(cli\n.*?)^```", text, re.S | re.M)[1].splitlines()
    shown = [set(re.split(r" {2,}", re.sub(r" +never import one another$", "", line))) for line in lines]
    assert shown == [floor - {"__main__"} for floor in floors if floor != {"__main__"}]
