"""The command that exports the network of a model for an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from diffad.cli.options import (
    BatchSize,
    Mask,
    ModelName,
    Slices,
    parse_mask_option,
    parse_slices,
    report_wrong_usage,
)
from diffad.io.terminal import say, tell


def export_command(
    model: ModelName,
    to: Annotated[
        Literal["openvino", "onnx", "compile"],
        typer.Option(help="The engine; compile has no export, but the ranges of its int8 are measured."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the export, for other programs; by default where --engine looks for it, beside "
            "the model or in a cache."
        ),
    ] = None,
    scans: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="SCAN",
            help="Healthy scans, or a folder of them, on which ranges of int8 are measured and maps compared "
            "with those of torch in fp32; may be repeated.",
        ),
    ] = None,
    mask: Mask = "",
    slices: Slices = "",
    batch_size: BatchSize = 8,
    precision: Annotated[
        Literal["fp32", "bf16", "int8"],
        typer.Option(help="Number format of the export; bf16 is fp32 on disk. int8 needs --scans."),
    ] = "fp32",
) -> None:
    """Export the denoising network of a model, and check that it answers as torch does.

    An export is free in batch and size, and holds a checksum of the weights that it was made of: one of other
    weights is never used. predict --engine makes what it needs by itself, but for int8, which must see scans:
    two or three healthy ones are enough. Exports lie in the folder engines of the model; those of a shipped
    model, or of one whose folder takes no files, in $DIFFAD_CACHE or ~/.cache/diffad.

    \b
    Examples:
      diffad export brain-any --to openvino
      diffad export brain-any --to compile --precision int8 --scans healthy/ --mask _brain_mask
      diffad predict scan.nii.gz --engine compile --precision int8 --out maps
      diffad export models/ours --to onnx --out onnx
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.predict import Options
    from diffad.predict.exporting import export_model
    from diffad.predict.run import load_model

    if to == "compile" and precision != "int8":
        raise typer.BadParameter(f"--precision: expected int8 for --to compile, got {precision}")
    mask_source = parse_mask_option(mask)
    with report_wrong_usage():
        options = Options(slices=parse_slices(slices), batch_size=batch_size)
        subjects = _find_subjects(scans or [], model, mask_source)
    pipe = load_model(model, "cpu")
    facts = export_model(pipe, to, precision, subjects, options, mask_source, out)
    _report(facts)


def _find_subjects(scans: list[Path], model: str, mask: str | Path | None) -> Any:
    """Find the scans, if any were named."""
    from diffad.cli.options import require_sources
    from diffad.io.subjects import find_scans
    from diffad.predict import Inputs
    from diffad.predict.listing import list_subjects

    if not scans:
        return []
    inputs = Inputs(require_sources(scans), model, Path(), mask)
    listing = list_subjects(inputs, find_scans(inputs.sources, None, mask))
    for note in listing.describe():
        say(f"note: {note}")
    return listing.subjects


def _report(facts: dict[str, Any]) -> None:
    name = f"{facts['engine']} in {facts['precision']}"
    if "difference_p99" in facts:
        gap, share = facts["difference_p99"], facts["difference_share"]
        size = f"{gap:.3g} (99th percentile), {share:.1%} of the threshold"
        tell(f"maps differ from those of torch in fp32 by {size}")
    tell(f"exported for {name}; see {facts['folder']}", **facts)
