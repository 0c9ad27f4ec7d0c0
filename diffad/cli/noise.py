"""The command that shows noises."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from diffad.cli.options import Seed
from diffad.io.terminal import show, tell


def noise_command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of a noise; see diffad list noises.")
    ] = "",
    assignments: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Options of the noise.")
    ] = None,
    all_noises: Annotated[
        bool, typer.Option("--all", help="Show every noise, with its default options.")
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option("--picture", "--save", metavar="FILE.png", help="Draw a contact sheet into this file."),
    ] = None,
    size: Annotated[int, typer.Option(min=16, max=512, help="Edge of a field, in pixels.")] = 128,
    count: Annotated[
        int | None, typer.Option(min=1, max=64, help="Number of fields drawn; 8 by default, 4 with --all.")
    ] = None,
    level: Annotated[int, typer.Option(min=0, help="Noise level of the fields.")] = 100,
    seed: Seed = 0,
) -> None:
    """Draw fields of a noise and measure them: spread, correlation, spectrum, speed.

    \b
    Examples:
      diffad noise simplex --save simplex.png
      diffad noise coarse resolution=8 --level 250
      diffad noise --all --save noises.png
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.config.yaml import override
    from diffad.report import noise_sheet

    if all_noises == bool(name):
        raise typer.BadParameter(
            f"expected the NAME of a noise or --all, got {'both' if name else 'neither'}"
        )
    if save is not None and save.suffix != ".png":
        raise typer.BadParameter(f"--save: expected a name that ends in .png, got {save}")
    options = override({}, assignments or [])
    if "name" in options:
        raise typer.BadParameter("expected options as KEY=VALUE, got a second name")
    parts = noise_sheet.list_noises() if all_noises else [(name, options)]
    draw = noise_sheet.Draw(size, level, seed)
    samples = [noise_sheet.measure_noise(part, values, draw) for part, values in parts]
    show("table", noise_sheet.format_noise_table(samples, draw))
    for sample in samples:
        values = {"name": sample.name, "options": sample.option_text, "seconds": sample.seconds}
        show("noise", **values, statistics=asdict(sample.stats))
    if save is not None:
        noise_sheet.save_noise_sheet(samples, draw, count or (4 if all_noises else 8), save)
        tell(f"see {save}")
