"""The command that trains a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from diffad.cli.options import Assignments, ConfigName
from diffad.io.terminal import show, tell


def train_command(
    config: ConfigName,
    assignments: Assignments = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Train nothing, but show the whole config, weights, memory, seconds a step and in all, and "
            "draw a training batch.",
        ),
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Where --dry-run draws the batch; by default dry_run.png in the folder of the run.",
        ),
    ] = None,
) -> None:
    """Train a model; a run that was stopped goes on from its last checkpoint.

    \b
    Examples:
      diffad train smoke output=/tmp/runs
      diffad train smoke --dry-run                                     what that would do, and how long
      diffad train configs/ixi_t1_axial.yaml data.root=DATA train.steps=2000 "noise={name: gaussian}"
      diffad train configs/andi.yaml variant=smoke                     a variant that the file holds
      accelerate launch -m diffad.training CONFIG [KEY=VALUE]...       the same, on several processes
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.training.run import run_training_arguments

    if picture is not None and (not dry_run or picture.suffix != ".png"):
        raise typer.BadParameter(f"--picture: expected --dry-run and a name that ends in .png, got {picture}")
    if dry_run:
        _rehearse(config, assignments or [], picture)
    else:
        raise typer.Exit(run_training_arguments([config, *(assignments or [])]))


def _rehearse(source: str, assignments: Sequence[str], picture: Path | None) -> None:
    """Show what a training would do."""
    import yaml

    from diffad.config import load
    from diffad.report.training_sheet import save_training_sheet
    from diffad.training.rehearsal import choose_picture, rehearse

    config = load(source, assignments)
    rehearsal, path = rehearse(config), picture or choose_picture(config)
    save_training_sheet(config, "train", config.train.batch_size, path)
    show("config", yaml.safe_dump(config.to_dict(), sort_keys=False))
    show("rehearsal", "\n".join(rehearsal.describe()), **rehearsal.to_dict(), picture=str(path))
    tell(f"nothing was trained; see {path} for a training batch")
