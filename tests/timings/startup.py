"""Prints the best of n wall times of a bare interpreter, ``import diffad`` and ``diffad --help``.

Run it with ``python tests/timings/startup.py [n]``.
"""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import diffad": ["-c", "import diffad"],
    "diffad --help": ["-m", "diffad", "--help"],
}


def seconds(arguments: list[str]) -> float:
    """Return the wall time of one fresh interpreter."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main(repeats: int = 5) -> None:
    """Print a table; the first round only warms the disk cache."""
    for name, arguments in COMMANDS.items():
        seconds(arguments)
        best = min(seconds(arguments) for _ in range(repeats))
        print(f"{name:<16} {best:6.3f} s  (best of {repeats})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
