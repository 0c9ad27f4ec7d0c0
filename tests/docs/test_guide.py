"""The guide says what is true: its commands and options exist, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from diffad.cli import app

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (ROOT / "docs", ROOT / "docs" / "guide", ROOT / "docs" / "methods")
PAGES = sorted([*(page for folder in FOLDERS for page in folder.glob("*.md")), ROOT / "README.md"])
GROUP = typer.main.get_command(app)


def lines(path):
    """Commands of diffad on a page, without their comments."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```$", text, re.S | re.M)
    found = [line.strip() for kind, block in blocks if kind in ("", "bash") for line in block.splitlines()]
    return [line for line in found if line.startswith("diffad ")]


COMMANDS = sorted({(path.name, line) for path in PAGES for line in lines(path)})


def test_there_are_commands_to_check():
    assert len(COMMANDS) > 25


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_commands_and_options_exist(page, line):
    words = shlex.split(line.replace("CONFIG [KEY=VALUE]...", "CONFIG"), comments=True)[1:]
    command = GROUP
    while words[0] == "--plugin":  # before the command, with a value
        del words[:2]
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name = words.pop(0)
        assert name in command.commands, f"{page}: {line}"
        command = command.commands[name]
    known = {
        option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]
    }
    used = {word.split("=")[0] for word in words if word.startswith("--")}
    assert used <= known | {"--help"}, f"{page}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_and_pictures_exist(page):
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r": ([\w/]+\.md)", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    there = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert listed == there
