"""The command that compares methods."""

from __future__ import annotations

from typing import Annotated

import typer

from diffad.cli.completion import complete_benchmark
from diffad.cli.options import Assignments


def benchmark_command(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG",
            autocompletion=complete_benchmark,
            help="A YAML file, or a shipped benchmark: benchmark_ixi or benchmark_smoke.",
        ),
    ],
    assignments: Assignments = None,
) -> None:
    """Compare methods: train what is missing, predict, score by protocols, and write tables and a page.

    Finished work is kept: after a stop, the same command goes on. Several devices share the work with
    accelerate launch -m diffad.benchmark CONFIG.

    \b
    Examples:
      diffad benchmark benchmark_smoke data.slices=DATA output=OUT
      diffad benchmark configs/benchmark_ixi.yaml data.slices=PATH/ixi_t1_axial
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.benchmark.run import run_command

    raise typer.Exit(run_command(config, assignments or []))
