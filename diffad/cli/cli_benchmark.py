"""The command that compares methods."""

from __future__ import annotations

from typing import Annotated

import typer


def benchmark(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="A benchmark file, or benchmark_ixi.")],
    assignments: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Changes to the file.")
    ] = None,
) -> None:
    """Compare methods: train what is missing, predict, score by protocols, and write tables and a page.

    What is finished is kept: the same command goes on after a stop. Several devices:
    accelerate launch -m diffad.benchmark CONFIG.

    \b
    Examples:
      diffad benchmark benchmark_smoke data.slices=DATA output=OUT
      diffad benchmark configs/benchmark_ixi.yaml data.slices=PATH/ixi_t1_axial
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.benchmark.run import run_command

    raise typer.Exit(run_command(config, assignments or []))
