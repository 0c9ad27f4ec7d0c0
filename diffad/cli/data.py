"""Commands around data sets on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffad.cli.options import Assignments, ConfigName
from diffad.cli.talking import talk
from diffad.io.terminal import plain_text, show, tell

if TYPE_CHECKING:
    from diffad.data.layouts.check import DatasetReport

data_app = typer.Typer(
    help="Look at data sets on disk.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)


@data_app.callback()
def data_command() -> None:
    """Look at data sets on disk."""


def check_command(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a data set, or a CSV file that lists one.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Write the entries to a CSV file that can be read back.")
    ] = None,
    layout: Annotated[
        str, typer.Option(help="How the files are laid out, see diffad list layouts; recognised by default.")
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Look at names only, and read no image.")] = False,
    show: Annotated[int, typer.Option(min=1, help="Show at most this many problems.")] = 20,
) -> None:
    """Say what a data set holds and what is wrong with it, such as damaged files or subjects in two splits.

    The exit code is 0 if nothing is wrong, and 1 if something is.

    \b
    Examples:
      diffad data check BraTS2021_Training
      diffad data check ATLAS_2 --quick
      diffad data check mine.csv --layout table --out checked.csv
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.data.layouts.check import check_dataset
    from diffad.data.layouts.table import write_table

    report = check_dataset(folder, layout or None, not quick)
    _print_report(folder, report, show)
    if out is not None:
        write_table(report.entries, out)
        tell(f"see {out}")
    raise typer.Exit(1 if report.problems else 0)


def sheet_command(
    config: ConfigName,
    assignments: Assignments = None,
    out: Annotated[
        Path, typer.Option("--out", "--picture", metavar="FILE.png", help="Picture to write.")
    ] = Path("sheet.png"),
    count: Annotated[int, typer.Option(min=1, max=400, help="Number of items.")] = 32,
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "train",
) -> None:
    """Draw the first items of a training as a network sees them: augmented, cut to the window, corrupted.

    Where images are corrupted, the image that was there before stands below each of them.

    \b
    Examples:
      diffad data sheet configs/ixi_t1_axial.yaml data.root=DATA --out sheet.png
      diffad data sheet CONFIG "data={name: labels, root: MAPS, contrast: flair}" --count 16
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.config import load
    from diffad.report.training_sheet import save_training_sheet

    if out.suffix != ".png":
        raise typer.BadParameter(f"--out: expected a name that ends in .png, got {out}")
    subjects = save_training_sheet(load(config, assignments or []), split, count, out)
    tell(f"drew {count} items of {subjects} subjects; see {out}")


def paint_command(
    config: ConfigName,
    assignments: Assignments = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="New folder for them.")] = Path("painted"),
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "val",
) -> None:
    """Write the healthy scans of a data set as NIfTI files without their skull, a folder for each site.

    A data set of label maps paints each head whole, in one contrast after the other: healthy scans to
    calibrate a model on, in contrasts of which there are no real ones.

    \b
    Examples:
      diffad data paint brain_any "data={name: labels, root: MAPS, contrast: [t2, flair]}" --out painted
      diffad calibrate controls/ painted/ --site folder --model brain-any --out models/ours
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.config import load
    from diffad.data.items import HoldsScans
    from diffad.data.painted_scans import PURPOSE, write_scans
    from diffad.io.paths import require_new_folder
    from diffad.training.parts import build_data

    require_new_folder(out, PURPOSE)  # before label maps are read, which takes minutes
    data = build_data(load(config, assignments or []), split)
    if not isinstance(data, HoldsScans):
        raise typer.BadParameter("CONFIG: expected a data set of volumes or label maps, got images")
    paths = write_scans(data, out)
    tell(f"wrote {len(paths)} scans; see {out}")


def _print_report(folder: Path, report: DatasetReport, limit: int) -> None:
    from rich.table import Table

    table = Table(
        title=plain_text(f"{folder}: layout {report.layout}"), title_justify="left", show_header=False
    )
    for name, count in report.counts.items():
        table.add_row(plain_text(name), str(count))
    show("table", table)
    facts = {"layout": report.layout, "counts": report.counts, "recognised": report.recognised}
    show("data", path=str(folder), **facts, notes=report.notes, problems=report.problems)
    if others := [f"{name} ({hits})" for name, hits in report.recognised if name != report.layout]:
        tell(f"could also be: {', '.join(others)}")
    for line in report.notes[:limit]:
        tell(f"note: {line}")
    for line in report.problems[:limit]:
        tell(f"problem: {line}")
    if len(report.problems) > limit:
        tell(f"... and {len(report.problems) - limit} more; --show {len(report.problems)} shows all")


COMMANDS = (
    ("check", "Say what a data set holds and what is wrong with it.", check_command),
    ("sheet", "Draw what a network is trained on.", sheet_command),
    ("paint", "Write the healthy scans of a data set, painted or real, as files.", paint_command),
)
for _name, _help, _command in COMMANDS:
    data_app.command(_name, short_help=_help)(talk(f"data {_name}", _command))
