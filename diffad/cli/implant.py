"""The command that implants lesions in healthy brains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffad.cli.options import Mask, Seed, parse_mask_option
from diffad.io.terminal import say, tell


def implant_command(
    scan: Annotated[
        list[Path],
        typer.Argument(
            metavar="{SCAN}...", help="Healthy NIfTI scans, and folders of them.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="New folder of the set.")],
    mask: Mask = "",
    per_scan: Annotated[
        int, typer.Option(min=1, help="Volumes with lesions made of each scan; each has lesions of one kind.")
    ] = 1,
    healthy: Annotated[
        bool, typer.Option("--healthy", help="Write each scan as it is, too, with an empty lesion mask.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Number of scans to use, from the first.", show_default="all")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Implant lesions in whole healthy brains, all over, from 10 mm3 to 50 ml, with masks and a table.

    Lesions are dark, bright, textured or push the tissue aside, in turn, and lie near the surface or deep; a
    volume has twelve tiny ones, six small ones, three medium ones or a large one. scans/ holds the volumes
    with their brain masks, lesions/ the lesion masks, table.csv lists the volumes for diffad benchmark, and
    lesions.csv has kind, volume and region of each lesion. The same scans and seed give the same files.

    \b
    Examples:
      diffad implant healthy/ --mask _label-brain_mask --out implants
      diffad predict implants/scans --mask _brain_mask --out maps
      diffad evaluate maps --masks implants/lesions --strata
      diffad benchmark benchmark_brain data.root=implants
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.data.implants import ImplantSet, write_implants
    from diffad.io.beside import find_mask_beside
    from diffad.io.search import find_scans

    ending = parse_mask_option(mask)
    search = find_scans(scan, out, ending)
    for note in [*search.describe_gaps(), *search.describe_rest()]:
        say(f"note: {note}")
    paths = search.scans[:limit]
    masks = [find_mask_beside(path, ending) if isinstance(ending, str) else ending for path in paths]
    if ending is not None and (bare := [p for p, m in zip(paths, masks, strict=True) if m is None]):
        raise ValueError(f"{bare[0]}: expected a brain mask {mask} beside it, found none")
    rows = write_implants(out, ImplantSet(paths, masks, per_scan, healthy, seed))
    count = len({name for name, _ in rows})
    tell(f"implanted {len(rows)} lesions in {count} volumes of {len(paths)} scans; see {out / 'lesions.csv'}")
