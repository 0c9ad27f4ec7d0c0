"""Follow a page: type its commands, run its Python and load its YAML, in order and in one folder."""

import contextlib
import io
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from diffad.benchmark.config import load_benchmark
from diffad.cli import main
from diffad.config import load
from diffad.config.yaml import merge
from tests.helpers.pages import ROOT, split_commands

LAUNCHER = re.compile(r"^(?:accelerate launch|torchrun --nproc_per_node \d+|python) -m diffad(?:\.(\w+))?")
ENTRIES = {"predict": "predict", "training": "train", "benchmark": "benchmark", None: ""}
"""Commands that say the same as the modules a launcher starts."""


class PageError(AssertionError):
    """A page that does not do what it says."""


@dataclass
class Reader:
    """Somebody who follows a page to the letter.

    Args:
        brief: Whether what costs time is made short: see ``hasten``.
        exceptions: Commands that are not typed, and why.
        names: What the Python of the page has defined so far.
        told: What each command printed.
        skipped: Exceptions that were met.
    """

    brief: bool = True
    exceptions: dict = field(default_factory=dict)
    names: dict = field(default_factory=dict)
    told: dict = field(default_factory=dict)
    skipped: set = field(default_factory=set)

    def follow(self, blocks):
        """Do what the blocks of a page say, in their order."""
        for block in blocks:
            if act := getattr(self, f"do_{block.kind}", None):
                act(block)

    def do_shell(self, block):
        for command in split_commands(block.text):
            self.type(command, block.place)

    def do_session(self, block):
        for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
            command, _, shown = part.partition("\n")
            for line in split_commands(command):
                self.type(line, block.place)
                if line in self.told:
                    compare(shown, self.told[line], block.place)

    def do_python(self, block):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(block.text, block.place, "exec"), self.names)
        except Exception as error:
            raise PageError(f"{block.place}: {type(error).__name__}: {error}") from error

    def do_yaml(self, block):
        try:
            load_yaml(block.text)
        except Exception as error:
            raise PageError(f"{block.place}: {error}") from error

    def type(self, command, place):
        """Run a command, and remember what it printed; a failure is a fault of the page."""
        if command in self.exceptions:
            self.skipped.add(command)
            return
        code, told = run(hasten(command) if self.brief else command, self.brief)
        self.told[command] = told
        if code:
            raise PageError(f"{place}: {command}\nended with {code}:\n{told[-3000:]}")


def hasten(command):
    """Return a command with the numbers that cost time made small."""
    command = re.sub(r"train\.steps=([3-9]|\d\d+)", "train.steps=2", command)
    command = re.sub(r"--spacing 4\b", "--spacing 8", command)
    return re.sub(r"--count \d+", "--count 4", command)


def run(command, brief):
    """Run a command: in this process where it is one of diffad, and a real launcher only if there is time."""
    command = command.partition(" 2>&1 | ")[0]
    launched = LAUNCHER.match(command)
    if launched and (brief or command.startswith("python")):
        rest = command[launched.end() :]
        return run_here(shlex.split(f"{ENTRIES[launched[1]]}{rest}"))
    words = shlex.split(command)
    return run_here(words[1:]) if words[0] == "diffad" else run_there(words)


def run_here(words):
    """Run a command of diffad in this process; return its exit code and what it printed."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        code = main(words)
    return code, told.getvalue()


def run_there(words):
    """Run any other command in a process of its own, with the programs of this environment."""
    modules = {"accelerate": ["-m", "accelerate.commands.accelerate_cli"], "python": [],
               "torchrun": ["-m", "torch.distributed.run", "--standalone"]}  # fmt: skip
    options = {"accelerate": ["launch", "--cpu"]}
    first, rest = words[0], words[1:]
    if first in options:
        rest = [*options[first], *rest[1:]]
    done = subprocess.run(
        [sys.executable, *modules[first], *rest], capture_output=True, text=True, check=False,
        env={**__import__("os").environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def load_yaml(text):
    """Load a block of YAML as the recipe that it is, or as the part of one."""
    values = yaml.safe_load(text)
    path = Path("block.yaml")
    if "methods" in values:
        path.write_text(text)
        return load_benchmark(path)
    if not {"name", "data", "model"} <= values.keys():
        smoke = yaml.safe_load((ROOT / "configs" / "smoke.yaml").read_text(encoding="utf-8"))
        text = yaml.safe_dump(merge(smoke, values))
    path.write_text(text)
    return load(path)


def compare(shown, told, place):
    """Refuse a line that a page shows and no line of what was printed is like, whatever its numbers are."""
    lines = [blur(line) for line in told.splitlines()]
    for line in filter(None, map(str.strip, shown.splitlines())):
        pattern = re.escape(blur(line)).replace(re.escape("..."), ".*")
        if not any(re.search(pattern, other) for other in lines):
            raise PageError(f"{place}: no line like {line!r} in:\n{told[-3000:]}")


def blur(line):
    """Return a line with one sign for every number."""
    return " ".join(re.sub(r"\d+(?:\.\d+)*", "#", line).split())
