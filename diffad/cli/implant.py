"""The command that implants lesions in healthy brains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from diffad.cli.options import Mask, Seed, parse_mask_option, parse_words
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
    paint: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="SCAN is a folder of label maps, to be painted as t1, t2, flair, pd, ct or random.",
        ),
    ] = "",
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
      diffad implant label_maps/ --paint t2,flair --limit 5 --out implants
      diffad predict implants/scans --mask _brain_mask --out maps
      diffad evaluate maps --masks implants/lesions --strata
      diffad benchmark benchmark_brain data.root=implants
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.data.implants import ImplantSet, paint_scans, require_empty, write_implants

    require_empty(out)
    if paint and (mask or len(scan) > 1):
        raise typer.BadParameter("--paint: expected one folder of label maps and no --mask")
    subjects: Sequence[str] | None = None
    scans: Sequence[Path]
    masks: Sequence[Path | None]
    if paint:
        scans, masks, subjects = paint_scans(scan[0], parse_words(paint), out, seed, limit)
    else:
        scans, masks = _find_pairs(scan, out, mask, limit)
    rows = write_implants(out, ImplantSet(scans, masks, subjects, per_scan, healthy, seed))
    count = len({name for name, _ in rows})
    tell(f"implanted {len(rows)} lesions in {count} volumes of {len(scans)} scans; see {out / 'lesions.csv'}")


def _find_pairs(
    sources: list[Path], out: Path, mask: str, limit: int | None
) -> tuple[Sequence[Path], Sequence[Path | None]]:
    """Find the scans, and a brain mask of each where masks are named."""
    from diffad.io.beside import find_mask_beside
    from diffad.io.search import find_scans

    ending = parse_mask_option(mask)
    search = find_scans(sources, out, ending)
    for note in [*search.describe_gaps(), *search.describe_rest()]:
        say(f"note: {note}")
    paths = search.scans[:limit]
    masks = [find_mask_beside(path, ending) if isinstance(ending, str) else ending for path in paths]
    if ending is not None and (bare := [p for p, m in zip(paths, masks, strict=True) if m is None]):
        raise ValueError(f"{bare[0]}: expected a brain mask {mask} beside it, found none")
    return paths, masks
