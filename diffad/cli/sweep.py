"""The command that trains a recipe at several values of one setting."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffad.cli.options import Assignments, ConfigName, parse_words


def sweep_command(
    config: ConfigName,
    over: Annotated[
        str, typer.Option(metavar="KEY=A,B,...", help="The setting that is varied, and its values.")
    ],
    data: Annotated[
        Path, typer.Option(help="Folder with train/, val/ and brain_mask.png; lesions are put into val/.")
    ],
    assignments: Assignments = None,
    side: Annotated[int, typer.Option(min=8, help="Side of the slices, in pixels.")] = 128,
    seeds: Annotated[
        str, typer.Option(metavar="A,B,...", help="Seeds of the trainings; each value has each.")
    ] = "0",
    out: Annotated[Path, typer.Option(help="Folder of the networks and results.")] = Path("runs/sweep"),
) -> None:
    """Vary one setting of a recipe: train each value, and draw its errors beside what it finds.

    The code of an autoencoder shall be as small as healthy brains allow: a wider one rebuilds lesions, too.
    sweep.csv has the errors of training slices, of healthy slices never seen and of lesions, with average
    precision and best Dice; sweep.png draws them. It marks the best value, which is chosen by the very
    lesions that judge it, and the elbow of the healthy error, which is not. Finished work is kept.

    \b
    Examples:
      diffad sweep ae variant=ixi --over model.latent=1,4,16,64 --data PATH/ixi_t1_axial
      diffad sweep ae variant=ixi --over model.latent=1,2,4,8,16,32,64,128 --seeds 0,1,2 --data DATA
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.benchmark.config import DataConfig
    from diffad.benchmark.sweep import parse_sweep, run_sweep
    from diffad.distributed import Process
    from diffad.io.terminal import say, tell
    from diffad.report.sweep import find_best, find_elbow

    numbers = parse_words(seeds)
    if not numbers or not all(word.isdecimal() for word in numbers):
        raise typer.BadParameter(f"--seeds: expected whole numbers, as 0,1,2, got {seeds!r}")
    sweep = parse_sweep(config, over, [int(word) for word in numbers], assignments or [])
    tests = DataConfig(slices=str(data), size=side)
    points = run_sweep(sweep, tests, out, Process.from_launcher())
    if not points:
        return
    say(f"best of these lesions: {sweep.key}={find_best(points)}; it judges what it chose")
    if (elbow := find_elbow(points)) is not None:
        say(f"elbow of the healthy error, without lesions: {sweep.key}={elbow}")
    tell(str(out / "sweep.csv"), str(out / "sweep.png"))
