"""What the pages of the guide take from the code when they are built, so that nothing there can grow old."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = "<!-- commands -->"
LANGUAGES = {".py": "python", ".yaml": "yaml"}
FILE = re.compile(r"<!-- file (\S+) -->")
FENCE_WORDS = re.compile(r"^```(\w+) [\w-]+$", re.M)
SECTION = re.compile(r'<!-- section (\S+) "([^"]+)" -->')


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the help of every command, and files and their sections, where a page asks for them.

    What follows the language of a fence is for the tests: the renderer would take such a block for prose.
    """
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, commands())
    markdown = FILE.sub(lambda found: script(ROOT / found[1]), markdown)
    markdown = SECTION.sub(lambda found: section(ROOT / found[1], found[2]), markdown)
    return FENCE_WORDS.sub(r"```\1", markdown)


def commands() -> str:
    """Return the help of every command, as it is printed."""
    import typer
    from typer.testing import CliRunner

    from diffad.cli import app

    group = typer.main.get_command(app)
    names = [()] + [(name,) for name in sorted(group.commands)]  # type: ignore[attr-defined]
    groups = ("data", "models")
    names += [(g, name) for g in groups for name in sorted(group.commands[g].commands)]  # type: ignore[attr-defined]
    runner, parts = CliRunner(), []
    for words in names:
        told = runner.invoke(
            app, [*words, "--help"], prog_name="diffad", env={"COLUMNS": "100", "TERM": "dumb"}
        )
        if told.exit_code:
            raise RuntimeError(f"{words}: {told.output}")
        parts.append(
            f"## `diffad{''.join(f' {w}' for w in words)}`\n\n```text\n{told.output.rstrip()}\n```\n"
        )
    return "\n".join(parts)


def script(path: Path) -> str:
    """Return a file as a block of code, in the language of its ending."""
    return f"```{LANGUAGES[path.suffix]}\n{path.read_text(encoding='utf-8').rstrip()}\n```"


def section(path: Path, heading: str) -> str:
    """Return what stands under a heading of another file.

    Raises:
        ValueError: If there is no such heading.
    """
    text = path.read_text(encoding="utf-8")
    found = re.search(rf"^##+ {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.S | re.M)
    if found is None:
        raise ValueError(f"{path}: expected a heading {heading!r}, found none")
    return found[1].strip().replace("](docs/", "](../")  # from the root to a page of the guide
