"""The command that makes pages and figures of what ``predict`` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder that predict wrote.")],
    figure: Annotated[
        str, typer.Option(metavar="pdf|svg|png", help="Also draw a figure of each scan for a paper.")
    ] = "",
) -> None:
    """Make the web page of each scan anew, and the index of all; the maps stay as they are.

    The scans must lie where they were. Lesion tables are made where they are missing.

    \b
    Examples:
      diffad report maps
      diffad report maps --figure pdf
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.io.naming import find_maps

    if figure not in ("", "pdf", "svg", "png"):
        raise typer.BadParameter(f"expected --figure pdf, svg or png, got {figure!r}")
    maps = find_maps(folder)
    if not maps:
        raise ValueError(f"{folder}: expected maps, as predict writes them, found none")
    raise typer.Exit(_report(folder, list(maps.values()), figure))


def _report(folder: Path, namings: list[object], figure: str) -> int:
    from diffad.io.naming import Naming
    from diffad.io.terminal import Progress, say
    from diffad.predict.index import write_cohort
    from diffad.predict.results import Results

    failed = 0
    with Progress(len(namings)) as progress:
        for naming in namings:
            assert isinstance(naming, Naming)
            with progress.scan(naming.name):
                try:
                    _one(folder, naming, figure)
                except (ValueError, OSError) as error:
                    say(f"failed {naming.name}: {error}")
                    failed += 1
    index = write_cohort(folder, [], Results(folder / "results.csv").rows)
    print(f"{len(namings) - failed} pages; see {index}")
    return int(failed > 0)


def _one(folder: Path, naming: object, figure: str) -> None:
    from diffad.io.naming import Naming
    from diffad.predict.writer import write_lesions_and_page
    from diffad.report.reading import read_maps

    assert isinstance(naming, Naming)
    out = read_maps(naming.files(folder))
    write_lesions_and_page(out, naming, folder)
    if figure:
        from diffad.report.figure import save_figure

        page = naming.files(folder)["page"]
        before, _, after = page.stem.rpartition("report")
        save_figure(out, page.with_name(f"{before}figure{after}.{figure}"), lesions=out.lesions())
