"""The command that trains a model."""

from __future__ import annotations

import typer

from diffad.cli.options import Assignments, ConfigName


def train_command(config: ConfigName, assignments: Assignments = None) -> None:
    """Train a model; a run that was stopped goes on from its last checkpoint.

    \b
    Examples:
      diffad train smoke output=/tmp/runs
      diffad train configs/ixi_t1_axial.yaml data.root=DATA train.steps=2000 "noise={name: gaussian}"
      diffad train configs/andi.yaml variant=smoke                     a variant that the file holds
      accelerate launch -m diffad.training CONFIG [KEY=VALUE]...       the same, on several processes
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.training.run import run_training_arguments

    raise typer.Exit(run_training_arguments([config, *(assignments or [])]))
