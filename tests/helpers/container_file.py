"""The instructions of a Dockerfile, as far as ours goes: what is copied, what is run, what is set."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "containers" / "Dockerfile"


@dataclass
class Stage:
    """One stage of a build.

    Args:
        base: Image that it starts from.
        instructions: Words and the rest of each line, in order.
    """

    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def rest(self, word):
        """What follows a word, line by line."""
        return [rest for name, rest in self.instructions if name == word]

    def variables(self, **known):
        """What ARG and ENV set, with what was set before in place of ``${NAME}``."""
        values = dict(known)
        for name, rest in self.instructions:
            if name in ("ARG", "ENV"):
                for pair in shlex.split(rest):
                    key, _, value = pair.partition("=")
                    text = re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], found[0]), value)
                    values[key] = known.get(key, text) if name == "ARG" else text
        return values


def read_stages(path=DOCKERFILE):
    """Read the stages of a Dockerfile, lines that go on put together."""
    text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.M).replace("\\\n", " ")
    stages = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stages.append(Stage(rest.split()[0]))
        else:
            stages[-1].instructions.append((word, rest))
    return stages
