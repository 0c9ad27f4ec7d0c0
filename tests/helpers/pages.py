"""Blocks of a page: what a reader would type or copy, in the order of the page."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?P<words>[^\n`]*)\n(?P<body>.*?)^```$", re.S | re.M)
FILE = re.compile(r"`((?:[\w*-]+/)*[\w*-]+\.(?:csv|html|jsonl?|md|nii\.gz|png|safetensors))`")
"""A file that a page names in its text."""
SESSION = re.compile(r"^\$ ", re.M)


@dataclass(frozen=True)
class Block:
    """A block of a page.

    Args:
        page: Place of the page in the repository.
        line: Its first line.
        kind: "bash", "session" (commands with what they print), "python", "yaml", "toml" or "text".
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
    """Return the pages that a reader may follow, by their places in the repository."""
    docs = sorted((ROOT / "docs").rglob("*.md"))
    return [str(path.relative_to(ROOT)) for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *docs)]


def read_page(page):
    return (ROOT / page).read_text(encoding="utf-8")


def read_blocks(page):
    """Return the blocks of a page."""
    text = read_page(page)
    return [
        Block(page, text.count("\n", 0, m.start()) + 2, name_kind(m["words"], m["body"]), m["body"])
        for m in FENCE.finditer(text)
    ]


def name_kind(words, body):
    """Return what a block is, from the language of its fence and from what it holds."""
    language = (words.split() or ["bash"])[0]
    return "session" if SESSION.search(body) else language


def split_commands(text):
    """Return the commands of a shell block, without comments; lines that go on are put together."""
    joined = re.sub(r"\\\n\s*", "", text)
    lines = (re.sub(r"(?:^|\s+)#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line]


def list_commands(page):
    """Return all commands of a page."""
    blocks = [block for block in read_blocks(page) if block.kind in ("bash", "session")]
    typed = [
        re.sub(r"^[^$].*\n|^\$ ", "", b.text, flags=re.M) if b.kind == "session" else b.text for b in blocks
    ]
    return [command for text in typed for command in split_commands(text)]


def list_promises(page):
    """Return the files that the text of a page names, as globs."""
    text = FENCE.sub("", read_page(page))
    return sorted({name.replace("NAME", "*") for name in FILE.findall(text)})
