"""The command that shows what the package does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffad.cli.options import DEFAULT_MODEL, Model, Seed


def demo_command(
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("demo_out"),
    model: Model = DEFAULT_MODEL,
    seed: Seed = 0,
) -> None:
    """Find synthetic lesions in a whole brain with a shipped model, and show them in pictures.

    The brain is a synthetic FLAIR head, with four lesions of four sizes and without. Other models
    than brain-any get lesions of four kinds in the T1 template, in the slices that they know.

    \b
    Examples:
      diffad demo
      diffad demo --model ixi-t1-axial --out demo_kinds    nine slices, four kinds of lesions
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.demo.run import run_demo

    run_demo(out, model, seed)
