"""The house in figures: how long files and bodies are, who imports whom, and what things are called.

    python tests/timings/house.py             the table, beside that of the review of commit 44e3bab
    python tests/timings/house.py --words     the names to mend, the most frequent first
    python tests/timings/house.py --names     top-level names that are defined in two files
    python tests/timings/house.py --check     exit code 1 unless the house is in order

Sources are the files of `diffad/` and of what its links `noise` and `samplers` lead to, each once; `configs`
is data. Tests are the files of `tests/` without this tool.

How the review counted had to be inferred. What agrees: files, lengths (without `__init__.py`), bodies,
modules, folders, circles, own imports (at module level), tests / source, names of two words, and how often
single names occur (`found` 198 times, `told` 76, `one` 43, `at` 34, `kept` 29), so that functions count as
bindings, and imports, classes and attributes do not.
What could not be matched to the digit:
- Bindings that are participles: the review's list of words is unknown. The row "single words of the lists"
  takes irregular participles and adverbs alone, and comes near it; the row above it takes -ed and -ing, too,
  and is what `--check` holds to 1 %.
- Functions named participle first: of all functions, `__init__` included.
- One-word functions: of those without two underscores in front.
Imports under `if TYPE_CHECKING` never run, so circles leave them out; they have a row of their own.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import mean, median
from types import UnionType

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.timings import house_imports  # noqa: E402 (the root must be on the path first)
from tests.timings.house_sources import (  # noqa: E402
    Function,
    Place,
    Source,
    arguments,
    body_lines,
    functions,
    graph,
    public_functions,
    read_sources,
    repeated_names,
    values,
)
from tests.timings.house_words import (  # noqa: E402
    is_listed,
    names_no_action,
    names_no_thing,
    starts_with_participle,
    words_of,
)

TOOL = ("house", "smoke_digest")
EITHER = ast.ClassDef | Function


def percent(values: list[bool]) -> float:
    """Return how many of 100 values are true."""
    return 100 * sum(values) / len(values) if values else 0.0


def high(values: list[int]) -> int:
    """Return the 90th percentile of sorted values."""
    return values[int(0.9 * len(values))]


@dataclass(frozen=True)
class House:
    """The figures of a package; see the names of the rows in ``rows``."""

    sources: list[Source]
    test_lines: int

    @classmethod
    def read(cls, root: Path = ROOT) -> House:
        """Measure the package below a root."""
        tests = [p for p in (root / "tests").rglob("*.py") if not p.stem.startswith(TOOL)]
        return cls(read_sources(root), sum(len(p.read_text("utf-8").splitlines()) for p in tests))

    @cached_property
    def functions(self) -> list[Function]:
        """All functions of the package."""
        return [f for s in self.sources for f in s.functions]

    @cached_property
    def bodies(self) -> list[int]:
        """Lines of all bodies, sorted."""
        return sorted(map(body_lines, self.functions))

    @cached_property
    def values(self) -> list[Place]:
        """All bindings of values, with places."""
        return [value for s in self.sources for value in values(s)]

    @cached_property
    def names(self) -> list[Place]:
        """All functions that we named, with places."""
        return [function for s in self.sources for function in functions(s)]

    @property
    def lengths(self) -> list[int]:
        """Lines of all files but ``__init__.py``, sorted."""
        return sorted(s.lines for s in self.sources if s.path.name != "__init__.py")

    @property
    def top_modules(self) -> list[str]:
        """Modules at the top of the package, without its ``__init__.py``."""
        tops = [s.path for s in self.sources if len(s.path.parts) == 2]
        return [p.stem for p in tops if p.name != "__init__.py"]

    @property
    def test_share(self) -> float:
        """Lines of tests for each line of source."""
        return self.test_lines / sum(self.lengths)

    def circles(self, *, deep: bool = True, typing: bool = False) -> list[list[str]]:
        """Return the circles of imports."""
        return house_imports.circles(graph(self.sources, deep=deep, typing=typing))

    @property
    def participle_functions(self) -> float:
        """Functions whose first word is a participle, in percent of all functions."""
        return 100 * sum(starts_with_participle(name) for name, _ in self.names) / len(self.functions)

    @property
    def participle_bindings(self) -> float:
        """Values that are named by no thing and functions that are named by no action, in percent of both."""
        offences = [names_no_thing(n) for n, _ in self.values] + [names_no_action(n) for n, _ in self.names]
        return percent(offences)

    def repeated(self, kind: UnionType | type, public: bool = True) -> dict[str, list[str]]:
        """Return classes and functions of one name in two files."""
        return repeated_names(self.sources, kind, public)


def pair(values: tuple[float, ...], digits: int = 0) -> str:
    """Write figures side by side."""
    return " / ".join(f"{v:.{digits}f}" for v in values)


def rows(house: House) -> list[tuple[str, str, str]]:
    """Return the table: what is counted, its figure here, and that of the review of commit 44e3bab."""
    return [*_length_rows(house), *_import_rows(house), *_name_rows(house)]


def _length_rows(house: House) -> list[tuple[str, str, str]]:
    files, bodies = house.lengths, house.bodies
    long = (sum(n > 40 for n in bodies), sum(n > 80 for n in bodies))
    documented = [ast.get_docstring(f) is not None for s in house.sources for f in public_functions(s.tree)]
    typed = [a.annotation is not None for f in house.functions for a in arguments(f)]
    return [
        ("files", str(len(house.sources)), "363"),
        ("lines", str(sum(files)), "35.4k"),
        ("median file / 90th / largest", pair((median(files), high(files), files[-1])), "96 / 176 / 287"),
        ("files of at most 50 lines, %", f"{percent([n <= 50 for n in files]):.0f}", "13"),
        ("body median / 90th / max", pair((median(bodies), high(bodies), bodies[-1])), "5 / 12 / 44"),
        ("bodies > 40 / > 80", f"{pair(long)} of {len(bodies)}", "1 / 0 of 2087"),
        ("public functions documented, %", f"{percent(documented):.0f}", "100"),
        ("arguments typed, %", f"{percent(typed):.0f}", "100"),
        ("tests / source lines", f"{house.test_share:.2f}", "0.81"),
    ]


def _import_rows(house: House) -> list[tuple[str, str, str]]:
    folders = {s.path.parent for s in house.sources}
    top, depth = [f for f in folders if len(f.parts) == 2], max(len(f.parts) for f in folders)
    loops = {
        "circles (files), module-level": (house.circles(deep=False), "0"),
        "... with imports inside functions": (house.circles(), "3 (14)"),
        "... and those under TYPE_CHECKING": (house.circles(typing=True), "-"),
    }
    links = mean(len(targets) for targets in graph(house.sources, deep=False).values())
    return [
        ("modules at the package top", str(len(house.top_modules)), "40"),
        ("folders at the top / depth", pair((len(top), depth)), "14 / 3"),
        *((name, f"{len(c)} ({sum(map(len, c))})", then) for name, (c, then) in loops.items()),
        ("own imports a file", f"{links:.1f}", "3.1"),
    ]


def _name_rows(house: House) -> list[tuple[str, str, str]]:
    everything = [name for name, _ in [*house.values, *house.names]]
    two = percent([len(words_of(name)) > 1 for name in everything])
    single = percent([len(words_of(name)) < 2 for name, _ in house.names])
    repeated = {
        "public classes defined twice": house.repeated(ast.ClassDef),
        "public functions defined twice": house.repeated(Function),
        "private classes and functions defined twice": house.repeated(EITHER, public=False),
    }
    return [
        ("names of two or more words, %", f"{two:.1f}", "6"),
        ("bindings that are participles/adverbs, %", f"{house.participle_bindings:.1f}", "-"),
        ("... single words of the lists alone, %", f"{percent([*map(is_listed, everything)]):.1f}", "5.2"),
        ("functions named participle first, %", f"{house.participle_functions:.1f}", "12.2"),
        ("one-word functions, %", f"{single:.0f}", "74"),
        *((name, str(len(names)), "-") for name, names in repeated.items()),
    ]


def faults(house: House) -> list[str]:
    """Return what is out of order, a line each."""
    bodies, classes, routines = house.bodies, house.repeated(ast.ClassDef), house.repeated(Function)
    rules = [
        (len(house.top_modules) <= 12, f"at most 12 modules at the top, found {len(house.top_modules)}"),
        (not house.circles(), f"no circle of imports, found {len(house.circles())}"),
        (
            house.participle_functions <= 2,
            f"at most 2 % of functions, found {house.participle_functions:.1f} %",
        ),
        (house.participle_bindings <= 1, f"at most 1 % of bindings, found {house.participle_bindings:.1f} %"),
        (not classes, f"no public class defined twice, found {len(classes)}: {', '.join(classes)}"),
        (not routines, f"no public function defined twice, found {len(routines)}: {', '.join(routines)}"),
        (median(bodies) <= 6, f"a median body of at most 6 lines, found {median(bodies)}"),
        (bodies[-1] <= 40, f"no body over 40 lines, found {bodies[-1]}"),
        (house.test_share >= 0.8, f"0.8 lines of tests for each of source, found {house.test_share:.2f}"),
    ]
    return [f"expected {text}" for holds, text in rules if not holds]


def word_lines(places: list[Place], offends: Callable[[str], bool], shown: int) -> list[str]:
    """List the most frequent names that offend, each with its first places."""
    bad = [(name, place) for name, place in places if offends(name)]
    lines = []
    for name, count in Counter(name for name, _ in bad).most_common():
        where = [place for other, place in bad if other == name]
        more = f" ... {count - shown} more" if count > shown else ""
        lines.append(f"{count:4} {name}: {' '.join(where[:shown])}{more}")
    return lines


def print_words(house: House, shown: int) -> None:
    """Print the values and the functions that are to be named anew."""
    print("Values whose last word is a participle, an adverb or a pronoun:")
    print(*word_lines(house.values, names_no_thing, shown), sep="\n")
    print("Functions whose first word is a participle, or that are an adverb or a pronoun:")
    print(*word_lines(house.names, names_no_action, shown), sep="\n")


def print_names(house: House) -> None:
    """Print the names that are defined in two files or more."""
    kinds: dict[str, tuple[UnionType | type, bool]] = {
        "public class": (ast.ClassDef, True),
        "public function": (Function, True),
        "private": (EITHER, False),
    }
    for label, (kind, public) in kinds.items():
        for name, places in house.repeated(kind, public).items():
            print(f"{label} {name}: {' '.join(places)}")


def print_circles(house: House) -> None:
    """Print the modules of each circle."""
    for circle in house.circles():
        print(f"circle: {' '.join(circle)}")


def main() -> int:
    """Print the table, and what else is asked for; return the exit code."""
    parser = argparse.ArgumentParser(description="The house in figures.")
    parser.add_argument("--words", action="store_true", help="list the names to mend")
    parser.add_argument("--names", action="store_true", help="list the top-level names defined twice")
    parser.add_argument("--check", action="store_true", help="exit 1 unless the house is in order")
    parser.add_argument("--shown", type=int, default=3, help="places shown of each word")
    asked, house = parser.parse_args(), House.read()
    print(f"{'':45}{'here':>18}   review of 44e3bab")
    for name, figure, review in rows(house):
        print(f"{name:45}{figure:>18}   {review}")
    print_circles(house)
    if asked.words:
        print_words(house, asked.shown)
    if asked.names:
        print_names(house)
    lines = faults(house) if asked.check else []
    print(*lines, sep="\n", end="\n" if lines else "")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
