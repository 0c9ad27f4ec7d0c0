"""The command that sums up the results of a cohort as group maps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffad.io.terminal import tell


def group_command(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder that diffad predict --space wrote.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the group maps.")] = Path("group"),
    model: Annotated[
        str, typer.Option(metavar="NAME", help="Take the results of this model alone, by its name.")
    ] = "",
    by: Annotated[
        str, typer.Option(metavar="COLUMN", help="Also maps of each value of this column, as diagnosis.")
    ] = "",
    participants: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Table with that column; participants.tsv of the data set by default.",
        ),
    ] = None,
    with_outside_scans: Annotated[
        bool, typer.Option("--include-outside", help="Take scans outside what the model knows, too.")
    ] = False,
    with_poor_scans: Annotated[
        bool, typer.Option("--include-poor", help="Take scans that are too poor to be judged, too.")
    ] = False,
) -> None:
    """Sum up a cohort in the space of the template: mean, spread and overlap of detections, by region too.

    Only what was analysed counts: each voxel has its own number of scans. Scans that failed, have no maps in
    the template, are outside what the model knows or too poor to be judged are left out and named. Results of
    several models or settings are refused, as their maps are not comparable.

    \b
    Examples:
      diffad predict scans/ --out maps --space MNI152NLin2009aSym
      diffad group maps --out maps_group
      diffad group maps --out maps_group --by diagnosis --participants participants.tsv
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.group.run import GroupOptions
    from diffad.group.scans import ScanFilter
    from diffad.group.write import write_groups

    if participants is not None and not by:
        raise typer.BadParameter("--participants: expected --by COLUMN beside a table of people, got none")
    scan_filter = ScanFilter(with_outside_scans, with_poor_scans, model)
    record = write_groups(GroupOptions(folder, by, participants, scan_filter), out)
    counts = ", ".join(f"{group['n']} {group['name']}" for group in record["groups"])
    fields = {"groups": {group["name"]: group["n"] for group in record["groups"]}}
    left = f", {len(record['left_out'])} left out" if record["left_out"] else ""
    tell(f"{counts}{left}; see {out / 'index.html'}", **fields, left_out=record["left_out"], out=str(out))
