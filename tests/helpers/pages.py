"""Blocks of a page: what a reader would type or copy, in the order of the page."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("diffad", "python", "accelerate", "torchrun", "make", "pip", "source", ".venv/bin/pre-commit")
"""First words of what is typed into a shell."""
FENCE = re.compile(r"^(?P<edge> *)```(?P<words>[^\n`]*)\n(?P<body>.*?)^(?P=edge)```$", re.S | re.M)
INDENTED = re.compile(r"(?:(?<=\n\n)|\A|(?<=\n)#[^\n]*\n)((?: {4}.*\n|\n)+)")


@dataclass(frozen=True)
class Block:
    """A block of a page.

    Args:
        page: Place of the page in the repository.
        line: Its first line.
        kind: "shell", "session" (commands with what they print), "python", "yaml", "toml" or "text".
        text: What it holds.
    """

    page: str
    line: int
    kind: str
    text: str

    @property
    def place(self):
        return f"{self.page}:{self.line}"


def list_pages():
    """Return every page that a reader may follow."""
    docs = sorted((ROOT / "docs").rglob("*.md"))
    return [str(path.relative_to(ROOT)) for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *docs)]


def read_blocks(page):
    """Return the blocks of a page, fenced and indented ones."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = [
        Block(page, text.count("\n", 0, m.start()) + 2, name_kind(m["words"], m["body"]), dedent(m["body"]))
        for m in FENCE.finditer(text)
    ]
    bare = FENCE.sub(lambda m: "x\n" * (m[0].count("\n") + 1), text + "\n")
    for m in INDENTED.finditer(bare):
        body = dedent(m[1]).strip("\n")
        if body:
            start = m.start(1) + len(m[1]) - len(m[1].lstrip("\n"))
            blocks.append(Block(page, bare.count("\n", 0, start) + 1, name_kind("", body), body + "\n"))
    return sorted(blocks, key=lambda block: block.line)


def name_kind(words, body):
    """Return what a block is, from the words of its fence or from what it holds."""
    language = words.split()[0] if words.split() else ""
    if language == "text" or not language:
        first = body.strip().split(" ")[0]
        sessions = re.search(r"^\s*\$ ", body, re.M)
        return "session" if sessions else "shell" if first in PROGRAMS else guess_code(body)
    return {"bash": "shell", "sh": "shell", "console": "session"}.get(language, language)


def guess_code(body):
    """Return what an unnamed block holds that is no command."""
    if re.match(r"\s*\[[\w.\"-]+\]\n", body):
        return "toml"
    if re.match(r"\s*(?:\w+(?:, \w+)* += |import |from |out\.)", body):
        return "python"
    return "yaml" if re.match(r"\s*\w+: \S", body) and "\n\n" not in body.strip() else "text"


def dedent(body):
    """Take off what all lines are indented by."""
    lines = body.splitlines(keepends=True)
    width = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), default=0)
    return "".join(line[width:] if line.strip() else "\n" for line in lines)


def split_commands(text):
    """Return the commands of a shell block, without comments, lines that go on put together."""
    joined = re.sub(r"\\\n\s*", "", text)
    lines = (re.sub(r"\s+#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
