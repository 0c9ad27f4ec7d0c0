"""The command that shows what the package does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffad.cli.options import Model, Seed


def demo_command(
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("demo_out"),
    model: Model = "ixi-t1-axial",
    seed: Seed = 0,
) -> None:
    """Find implanted lesions in a real brain with the shipped model, and show them in a picture.

    \b
    Examples:
      diffad demo
      diffad demo --out demo_out --seed 1
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.demo.run import run_demo

    run_demo(out, model, seed)
