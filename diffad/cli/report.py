"""The command that makes pages and figures of what ``predict`` wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffad.config.choices import FigureFormat

if TYPE_CHECKING:
    from diffad.io.naming import Naming


def report_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder that diffad predict wrote.")],
    figure: Annotated[
        FigureFormat | None, typer.Option(help="Also draw a figure of each scan, as for a paper.")
    ] = None,
) -> None:
    """Make the web page of each scan and the index of all again; the maps stay as they are.

    The scans must lie where they were. Lesion tables are made where they are missing.

    \b
    Examples:
      diffad report maps
      diffad report maps --figure pdf
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.io.naming import find_maps

    maps = find_maps(folder)
    if not maps:
        raise ValueError(f"{folder}: expected maps, as predict writes them, found none")
    raise typer.Exit(_write_reports(folder, list(maps.values()), figure))


def _write_reports(folder: Path, namings: Sequence[Naming], figure: FigureFormat | None) -> int:
    from diffad.io.files import require_file
    from diffad.io.terminal import Progress, format_error, say, tell
    from diffad.predict.index import write_cohort
    from diffad.predict.results import Results

    failures, table = 0, folder / "results.csv"
    if table.exists():
        require_file(table, "the table of results")
    with Progress(len(namings)) as progress:
        for naming in namings:
            with progress.scan(naming.name):
                try:
                    _write_report_files(folder, naming, figure)
                except Exception as error:  # whatever is wrong with one scan must not cost the others
                    say(f"failed {naming.name}: {format_error(error)}", error)
                    failures += 1
    index = write_cohort(folder, [], Results(table).rows)
    tell(f"{len(namings) - failures} pages; see {index}")
    return int(failures > 0)


def _write_report_files(folder: Path, naming: Naming, figure: FigureFormat | None) -> None:
    from diffad.predict.writer import write_lesions_and_page
    from diffad.report.reading import read_maps

    output = read_maps(naming.find_files(folder))
    write_lesions_and_page(output, naming, folder)
    if figure is not None:
        from diffad.report.figure import save_figure

        page = naming.files(folder)["page"]
        before, _, after = page.stem.rpartition("report")
        save_figure(output, page.with_name(f"{before}figure{after}.{figure}"), lesions=output.lesions())
