"""The command that pretrains an encoder."""

from __future__ import annotations

from typing import Annotated

import typer

from diffad.cli.options import Assignments, ConfigName
from diffad.io.terminal import say, show


def pretrain_command(
    config: ConfigName,
    assignments: Assignments = None,
    cell: Annotated[int, typer.Option(min=1, help="Edge of the cells that are hidden, in pixels.")] = 32,
    ratio: Annotated[float, typer.Option(help="Fraction of the cells that is hidden.")] = 0.65,
) -> None:
    """Pretrain the encoder of a conditioned network on healthy scans: it learns to paint hidden cells in.

    Data, space, number of steps and learning rates are those of the config. A run that was stopped goes on.
    The command prints the folder that train.encoder takes.

    \b
    Examples:
      diffad pretrain configs/cddpm.yaml data.root=DATA train.steps=5000 train.weight_decay=0.05
      diffad train configs/cddpm.yaml data.root=DATA train.encoder=runs/cddpm/pretraining/encoder
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.config import load
    from diffad.training.pretrain import pretrain

    try:
        folder = pretrain(load(config, assignments or []), cell, ratio)
        show("result", str(folder), path=str(folder))
    except KeyboardInterrupt as stop:
        say(str(stop) or "stopped; the same command goes on from the last checkpoint")
        raise typer.Exit(130) from None
