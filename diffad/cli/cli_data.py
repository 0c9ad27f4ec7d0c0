"""Commands around data sets on disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Look at data sets on disk.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)


@app.callback()
def data() -> None:
    """Look at data sets on disk."""


@app.command(short_help="Say what a data set holds and what is wrong with it.")
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a data set, or a CSV.")],
    layout: Annotated[str, typer.Option(help="How it lies there; recognised by default.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Look at names only, read no image.")] = False,
    show: Annotated[int, typer.Option(min=1, help="So many problems are shown.")] = 20,
    out: Annotated[
        Path | None, typer.Option(help="Write the entries to a CSV that can be read back.")
    ] = None,
) -> None:
    """Say what a data set holds and what is wrong: missing masks, damaged files, subjects in two splits.

    Exit code 0 where nothing is wrong, 1 where something is. `diffad list layouts` shows what is known.

    \b
    Examples:
      diffad data check BraTS2021_Training
      diffad data check ATLAS_2 --quick
      diffad data check mine.csv --layout table --out checked.csv
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from rich.console import Console
    from rich.table import Table

    from diffad.data.layouts.check import check_dataset as run
    from diffad.data.layouts.table import write_table

    report = run(folder, layout or None, not quick)
    table = Table(title=f"{folder}: layout {report.layout}", title_justify="left", show_header=False)
    for name, count in report.counts.items():
        table.add_row(name, str(count))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    if others := [f"{name} ({hits})" for name, hits in report.recognised if name != report.layout]:
        print(f"could also be: {', '.join(others)}")
    for line in report.problems[:show]:
        print(f"problem: {line}")
    if len(report.problems) > show:
        print(f"... and {len(report.problems) - show} more; --show {len(report.problems)} shows all")
    if out is not None:
        write_table(report.entries, out)
        print(f"see {out}")
    raise typer.Exit(1 if report.problems else 0)
