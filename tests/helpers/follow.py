"""Follow a page: type its commands, run its Python and load its YAML, in order and in one folder."""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from diffad.benchmark.config import load_benchmark
from diffad.cli import main
from diffad.config import load
from diffad.config.yaml import merge
from tests.helpers.pages import ROOT, SESSION, split_commands

LAUNCHER = re.compile(r"^(?:accelerate launch|torchrun --nproc_per_node \d+) -m diffad\.(\w+)")
ENTRIES = {"predict": "predict", "training": "train", "benchmark": "benchmark"}
"""Commands that do the same as the modules that a launcher starts."""
LAUNCH = {
    "accelerate": ["accelerate.commands.launch", "--cpu"],
    "torchrun": ["torch.distributed.run", "--standalone"],
}
"""Modules behind the launchers, and what they need on a machine without a GPU."""
LATER = re.compile(
    r"^(?:diffad benchmark |diffad demo |torchrun |python |.*-m diffad\.benchmark |.*brain_any\.yaml)"
)
"""Commands of many seconds."""
SHORT = (
    (r"train\.steps=\d\d+", "train.steps=2"),
    (r"--spacing 4\b", "--spacing 8"),
    (r"--count \d+", "--count 4"),
    (r"benchmark (benchmark_\w+)", r"benchmark configs/\1.yaml"),
)
"""Numbers of commands that cost time, and what they are here."""


class PageError(AssertionError):
    """A page that does not do what it says."""


@dataclass
class Reader:
    """Somebody who follows a page to the letter.

    Args:
        exceptions: Commands that are not typed, and why.
        other_lines: Beginnings of lines that a page shows and that are others here, and why.
        codes: Exit codes of commands that say no, by intent.
        in_full: Whether commands of many seconds are typed, and launchers start their processes.
        names: What the Python of the page has defined.
        prints: What each command printed.
    """

    exceptions: Mapping = field(default_factory=dict)
    other_lines: Mapping = field(default_factory=dict)
    codes: Mapping = field(default_factory=dict)
    in_full: bool = False
    names: dict = field(default_factory=dict)
    prints: dict = field(default_factory=dict)

    def follow(self, blocks):
        """Do what the blocks of a page say, in their order."""
        acts = {"bash": self.type_block, "session": self.type_session, "python": self.run_python,
                "yaml": load_yaml, "toml": str, "text": str}  # fmt: skip
        for block in sorted(
            blocks, key=lambda block: block.kind == "yaml"
        ):  # which may name parts of the page
            acts[block.kind](block)

    def type_block(self, block):
        for command in split_commands(block.text):
            self.type(command, block.place)

    def type_session(self, block):
        """Type what stands behind a prompt, and compare what is printed with what is shown."""
        for part in SESSION.split(block.text)[1:]:
            command, _, picture = part.partition("\n")
            for line in split_commands(command):
                self.type(line, block.place)
                if line in self.prints:
                    compare(
                        [x for x in picture.splitlines() if not x.startswith(tuple(self.other_lines))],
                        self.prints[line],
                        block.place,
                    )

    def run_python(self, block):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(block.text, block.place, "exec"), self.names)
        except Exception as error:
            raise PageError(f"{block.place}: {type(error).__name__}: {error}") from error

    def type(self, command, place):
        """Run a command, and remember what it printed; if it fails, the page is wrong."""
        if command in self.exceptions or (LATER.match(command) and not self.in_full):
            return
        code, self.prints[command] = run(command, self.in_full)
        if code != self.codes.get(command, 0):
            raise PageError(f"{place}: {command}\nended with {code}:\n{self.prints[command][-3000:]}")


def run(command, in_full=False):
    """Run a command: in this process where it is one of diffad; return its exit code and what it printed."""
    for pattern, text in SHORT:
        command = re.sub(pattern, text, command)
    if not in_full:
        command = LAUNCHER.sub(lambda match: f"diffad {ENTRIES[match[1]]}", command)
    words = shlex.split(command.partition(" 2>&1 | ")[0])
    return run_here(words[1:]) if words[0] == "diffad" else run_there(*words)


def run_here(words):
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        code = main(words)
    return code, told.getvalue()


def run_there(program, *words):
    """Run a command in a process of its own, with the programs of this environment."""
    words = words[1:] if program == "accelerate" else words
    start = [] if program == "python" else ["-m", *LAUNCH[program]]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *start, *words]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return run.returncode, run.stdout + run.stderr


def load_yaml(block):
    """Load a block of YAML as the recipe that it is, or as a part of one, and build its parts."""
    values = yaml.safe_load(block.text)
    path, is_benchmark = Path("block.yaml"), "methods" in values
    if not is_benchmark:
        smoke = yaml.safe_load((ROOT / "configs" / "smoke.yaml").read_text(encoding="utf-8"))
        values = merge(smoke, values)
    path.write_text(yaml.safe_dump(values))
    try:
        return load_benchmark(path) if is_benchmark else check_parts(load(path))
    except Exception as error:
        raise PageError(f"{block.place}: {error}") from error


def check_parts(config):
    """Build the parts of a config that hold no data."""
    from diffad.registry import MODELS, NOISES, SAMPLERS, SCORES

    for registry, part in (
        (NOISES, config.noise),
        (SAMPLERS, config.sampler),
        (SCORES, config.score),
        (MODELS, config.model),
    ):
        registry.build(**part)
    for parts in config.contrasts.values():
        SCORES.build(**parts.get("score", config.score))
    return config


def compare(shown, told, place):
    """Refuse a line that a page shows if no line that was printed is like it, whatever its numbers are.

    Three dots stand for anything.
    """
    lines = [blur(line) for line in told.splitlines()]
    for line in filter(str.strip, shown):
        pattern = re.escape(blur(line)).replace(r"\.\.\.", ".*")
        if not any(re.fullmatch(pattern, other) for other in lines):
            raise PageError(f"{place}: no line like {line!r} in:\n{told[-6000:]}")


def blur(line):
    """Return a line with one sign for every number."""
    return " ".join(re.sub(r"\d+(?:\.\d+)*", "N", line).split())
