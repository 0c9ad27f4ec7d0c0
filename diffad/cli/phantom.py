"""The command that makes phantoms."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from diffad.cli.options import Seed, parse_words
from diffad.io.terminal import say, tell


def phantom_command(
    out: Annotated[
        Path, typer.Option(help="Folder of the data set; a set that was stopped half-way is finished.")
    ],
    subjects: Annotated[int, typer.Option(min=1, help="Number of subjects.")] = 8,
    modality: Annotated[
        str, typer.Option(metavar="A,B", help="One or several of t1, t2, flair and ct, like t1,flair.")
    ] = "t1",
    lesion_fraction: Annotated[
        float, typer.Option("--lesioned", min=0, max=1, help="Fraction of the subjects that have lesions.")
    ] = 0.25,
    lesions: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="Kinds of lesions, in turn: ischaemia, haemorrhage and plaques; all by default.",
        ),
    ] = "",
    spacing: Annotated[float, typer.Option(metavar="MM", help="Edge of a voxel, 0.5 to 8 mm.")] = 1.0,
    seed: Seed = 0,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw a contact sheet into this file.")
    ] = None,
) -> None:
    """Make phantoms: deformed MNI152 brains as MRI or CT, healthy and lesioned, with masks, as NIfTI.

    Healthy subjects go to train/ and val/, and lesioned and a few healthy ones to test/. Subject k is the
    same however many there are. The anatomy comes from nilearn: pip install 'diffad[demo]'. Nothing is
    downloaded.

    \b
    Examples:
      diffad phantom --out DIR --subjects 8 --spacing 2
      diffad phantom --out DIR --modality t1,flair,ct --lesions plaques --picture phantoms.png
      diffad train CONFIG data.root=DIR "data.mask=*_desc-brain_mask.nii.gz"
      diffad predict DIR/test --mask _desc-brain_mask --out maps
      diffad evaluate maps --masks DIR/lesions
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.data.phantom import KINDS, PhantomOptions, make_phantoms

    if picture is not None and picture.suffix != ".png":
        raise typer.BadParameter(f"--picture: expected a name that ends in .png, got {picture}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kinds = parse_words(lesions) or tuple(KINDS)
    options = PhantomOptions(parse_words(modality), lesion_fraction, kinds, seed, spacing)
    try:
        phantoms = make_phantoms(out, subjects, options)
    except KeyboardInterrupt:
        say("stopped; finished subjects are whole, run the same command to go on")
        raise typer.Exit(130) from None
    lesion_count, old_count = sum(p.kind is not None for p in phantoms), subjects - len(phantoms)
    note = f", {old_count} were there" if old_count else ""
    tell(f"made {len(phantoms)} phantoms, {lesion_count} of them lesioned{note}; see {out / 'README'}")
    if picture is not None:
        from diffad.report.phantom import draw_phantoms

        tell(f"see {draw_phantoms(out, options, picture)}")
