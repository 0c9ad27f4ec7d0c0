"""The command that paints lesions into healthy scans."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffad.cli.options import (
    BatchSize,
    Device,
    Mask,
    Model,
    Seed,
    parse_mask_option,
    report_wrong_usage,
    require_sources,
)
from diffad.io.console import get_console
from diffad.io.terminal import say

if TYPE_CHECKING:
    from diffad.synthesise.options import SynthesisOptions


def synthesise_command(
    scan: Annotated[
        list[Path],
        typer.Argument(metavar="SCAN", help="Healthy NIfTI files, slices as PNG, or folders of them."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("synthesised"),
    model: Model = "",
    label: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Class that a model of diffad paints; 0 is healthy.", show_default=False
        ),
    ] = None,
    prompt: Annotated[
        str, typer.Option(metavar="TEXT", help="What Stable Diffusion paints; --model is its folder.")
    ] = "",
    word: Annotated[
        str, typer.Option(metavar="WORD", help="Word of the prompt that is to become visible.")
    ] = "",
    detail: Annotated[
        str, typer.Option(metavar="TEXT", help="The prompt in more words, towards which the word is refined.")
    ] = "",
    mask: Mask = "",
    region: Annotated[
        str,
        typer.Option(
            metavar="FILE|SUFFIX",
            help="Where the reconstruction may differ, for samplers that edit a region; given as --mask is.",
        ),
    ] = "",
    volume: Annotated[
        float,
        typer.Option(metavar="ML", help="Volume of the shape that is drawn where there is no --region."),
    ] = 4.0,
    count: Annotated[
        int, typer.Option(min=1, help="Scans to make of each SCAN, with seeds that follow.")
    ] = 1,
    strength: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Share of the way to noise that a scan goes; .3 for a prompt and .5 for a class by default.",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="How strongly prompt or class steer; 7.5 and 3 by default.",
            show_default=False,
        ),
    ] = None,
    inference_steps: Annotated[
        int, typer.Option(metavar="N", help="Steps of the whole way, of which the strength takes its share.")
    ] = 50,
    inner_steps: Annotated[
        int,
        typer.Option(metavar="N", help="Updates in each step by the attention of the word; 0 for none."),
    ] = 10,
    visible: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Change from which a voxel is labelled, as a share of the window."
        ),
    ] = 0.05,
    seed: Seed = 0,
    batch_size: BatchSize = 8,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Redo scans that have results.")] = False,
) -> None:
    """Paint lesions into healthy scans, with masks and labels, for training and validation.

    A model of diffad that knows classes paints --label; Stable Diffusion, from a folder of yours, paints what
    --prompt says. scans/ holds the painted scans with brain masks, lesions/ where something became visible,
    regions/ where it was allowed to; beside them lie a picture and NAME_synthesis.json of each, and table.csv
    for diffad benchmark. Outside the region every voxel stays as it is.

    \b
    Examples:
      diffad synthesise healthy.nii.gz --model runs/guided/pipeline --label 1 --out synthesised
      diffad synthesise cohort/ --model runs/guided/pipeline --label 1 --mask _brain --count 3
      diffad synthesise slice.png --region lesion.png --model sd15 --prompt "a head with a clot" --word clot
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.synthesise.options import SynthesisOptions

    with report_wrong_usage():
        options = SynthesisOptions(
            label=label,
            prompt=prompt,
            word=word,
            detail=detail,
            strength=strength,
            scale=scale,
            inference_steps=inference_steps,
            inner_steps=inner_steps,
            volume=volume,
            visible=visible,
            seed=seed,
            batch_size=batch_size,
        )
    if not model:
        raise typer.BadParameter(
            "--model: expected a model that knows classes, or a folder of Stable Diffusion"
        )
    sources = require_sources(scan)
    raise typer.Exit(_synthesise(sources, out, model, (mask, region, count, overwrite), device, options))


def _synthesise(
    sources: Sequence[Path],
    out: Path,
    model: str,
    how: tuple[str, str, int, bool],
    device: str,
    options: SynthesisOptions,
) -> int:
    """Paint all scans and return the exit code."""
    from diffad.io.search import find_scans
    from diffad.io.subjects import group_subjects
    from diffad.predict.run import choose_device
    from diffad.synthesise.painters import load_painter
    from diffad.synthesise.run import SynthesisRequest, synthesise_scans

    mask, region = parse_mask_option(how[0]), parse_mask_option(how[1])
    search = find_scans(sources, out, mask, region)
    for note in [*search.describe_gaps(), *search.describe_rest()]:
        say(f"note: {note}")
    painter = load_painter(model, choose_device(device), options)
    request = SynthesisRequest(out, region, mask, how[2], how[3], options)
    summary = synthesise_scans(painter, group_subjects(search.scans), request)
    text = f"{summary}; see {out}"
    get_console().emit("summary", text, sys.stdout, **summary.to_dict(), out=str(out))
    return int(bool(summary.failures))
