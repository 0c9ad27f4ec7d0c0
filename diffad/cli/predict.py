"""The command that finds anomalies in scans."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diffad.cli.options import (
    AUTO_MODEL,
    BatchSize,
    Bias,
    Brain,
    Device,
    Engine,
    KeepIdentifiers,
    Mask,
    MaskThreshold,
    MaxVoxels,
    Number,
    Prepare,
    Register,
    ScanModality,
    Seed,
    Sequences,
    Series,
    Slices,
    Trust,
    parse_mask_option,
    parse_part,
    parse_slices,
    parse_threshold,
    parse_words,
    report_wrong_usage,
    require_sources,
)
from diffad.cli.predict_options import (
    KeepSmall,
    ModelChoice,
    OnFailure,
    Overwrite,
    Page,
    Spaces,
    Strict,
    Threshold,
    Verify,
    choose_preparation,
)
from diffad.config.choices import Fusion, NoiseScope, ResultLayout
from diffad.config.reading import MAX_VOXELS
from diffad.io.console import get_console
from diffad.io.terminal import say

if TYPE_CHECKING:
    from diffad.predict import Inputs, Options
    from diffad.predict.summary import CohortSummary


def predict_command(
    scan: Annotated[
        list[Path],
        typer.Argument(metavar="SCAN", help="NIfTI or DICOM files, or folders that are searched for them."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("results"),
    model: ModelChoice = AUTO_MODEL,
    prepare: Prepare = False,
    modality: ScanModality = "mri",
    brain: Brain = "auto",
    register: Register = "affine",
    bias: Bias = True,
    mask: Mask = "",
    mask_threshold: MaskThreshold = None,
    region: Annotated[
        str,
        typer.Option(
            metavar="FILE|SUFFIX",
            help="Where the reconstruction may differ, for samplers that edit a region; given as --mask is.",
        ),
    ] = "",
    sequences: Sequences = "",
    series: Series = "",
    keep_identifiers: KeepIdentifiers = False,
    slices: Slices = "",
    trust: Trust = None,
    max_voxels: MaxVoxels = MAX_VOXELS,
    threshold: Threshold = "",
    sampler: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|YAML|KEY=VALUE", help="Another sampler, or another option of the model's own."
        ),
    ] = None,
    score: Annotated[
        list[str] | None, typer.Option(metavar="NAME|YAML|KEY=VALUE", help="Another score.")
    ] = None,
    noise: Annotated[
        list[str] | None, typer.Option(metavar="NAME|YAML|KEY=VALUE", help="Another noise.")
    ] = None,
    guidance: Annotated[
        list[str] | None, typer.Option(metavar="NAME|YAML|KEY=VALUE", help="Another guidance.")
    ] = None,
    seed: Seed = 0,
    batch_size: BatchSize = 8,
    precision: Number = "auto",
    engine: Engine = "torch",
    axes: Annotated[
        str,
        typer.Option(
            metavar="A,B", help="Cut slices along axial, coronal, sagittal or several, and fuse the maps."
        ),
    ] = "",
    fusion: Annotated[
        Fusion | None, typer.Option(help="How the maps of several axes become one; the mean by default.")
    ] = None,
    keep_small: KeepSmall = False,
    noise_across: Annotated[
        NoiseScope | None,
        typer.Option(help="Draw noise for each slice, or once for all slices of a scan; slice by default."),
    ] = None,
    space: Spaces = None,
    layout: Annotated[
        ResultLayout, typer.Option(help="How results are named; auto is bids for scans of a BIDS tree.")
    ] = "auto",
    page: Page = True,
    on_failure: OnFailure = "any",
    device: Device = "auto",
    overwrite: Overwrite = False,
    verify: Verify = False,
    strict: Strict = False,
) -> None:
    """Find anomalies: a map, detections, a pseudo-healthy reconstruction and a page of each scan.

    Scans must be skull-stripped (0 outside the brain), come with brain masks (--mask), or be prepared first
    (--prepare; --modality, --brain, --register and --bias belong to it). A scan that cannot be used is
    reported, and the others go on. A second run does what is missing. The folder of the results gets a table,
    results.csv, and an index of the pages, index.html; for scans of a BIDS tree it is a BIDS derivative.

    \b
    Examples:
      diffad predict sub-01_T1w.nii.gz --out maps --slices 19:27mm
      diffad predict cohort/ --out maps --mask _brain_mask       A.nii.gz has A_brain_mask.nii.gz
      diffad predict cohort/ --out maps --sequences t1,flair     A_t1.nii.gz with A_flair.nii.gz
      diffad predict cohort/ --out maps --model auto:models      each scan by the model in models/ it suits
      diffad predict cohort/ --out maps --space MNI152NLin2009aSym      for diffad group
      diffad predict bids/ --out bids/derivatives/diffad --prepare --sequences T1w
      diffad predict dicom/ --out maps --prepare                 one series of each visit; see --series
      torchrun --nproc_per_node 2 -m diffad.predict cohort/ --out maps
      diffad predict scan.nii.gz --sampler "{name: chain, level: 200, steps: 10}" --threshold otsu
      diffad predict scan.nii.gz --sampler level=200 --sampler steps=10
      diffad predict scan.nii.gz --model runs/cddpm/pipeline --guidance "{name: encoder, source: mirror}"
      diffad predict scan.nii.gz --sampler "{name: resampled}" --region lesion.nii.gz

    Where file names repeat, names of results begin with those of the folders: a_T1_anomaly.nii.gz.
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.predict import Inputs, Options

    mask_source, region_source = parse_mask_option(mask), parse_mask_option(region)
    with report_wrong_usage():
        inputs = Inputs(
            sources=require_sources(scan),
            model=model,
            out=out,
            mask=mask_source,
            region=region_source,
            sequences=parse_words(sequences),
            series=series,
            keep_identifiers=keep_identifiers,
            device=device,
            overwrite=overwrite,
            verify=verify,
            spaces=tuple(space or ("native",)),
            layout=layout,
            page=page,
            on_failure=on_failure,
            prepare=choose_preparation(modality, bias, brain, register, mask_source) if prepare else None,
        )
        options = Options(
            **_parse_parts(sampler=sampler, score=score, noise=noise, guidance=guidance),
            threshold=parse_threshold(threshold),
            slices=parse_slices(slices),
            seed=seed,
            batch_size=batch_size,
            precision=precision,
            engine=engine,
            axes=parse_words(axes) or None,
            fusion=fusion,
            noise_across=noise_across,
            keep_small=keep_small,
            mask_threshold=mask_threshold,
            trust=trust,
            max_voxels=max_voxels,
            strict=strict,
        )
    raise typer.Exit(_predict_and_report(inputs, options))


def _parse_parts(**texts: list[str] | None) -> dict[str, Any]:
    """Read the parts that take the place of the model's own."""
    return {name: parse_part(name, words or []) for name, words in texts.items()}


def _predict_and_report(inputs: Inputs, options: Options) -> int:
    """Run over all scans, say what became of them, and return the exit code."""
    from diffad.distributed import Process
    from diffad.predict import predict_scans

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    process = Process.from_launcher()
    try:
        summary = predict_scans(inputs, options, process)
    except KeyboardInterrupt:
        say("stopped; finished scans are whole, run the same command to go on")
        return 130
    if not process.is_main:
        return 0
    report_summary(summary, inputs.out, inputs.page)
    return summary.code(inputs.on_failure)


def report_summary(summary: CohortSummary, out: Path, page: bool) -> None:
    """Say what became of all scans, and where to look first."""
    if lines := summary.failures():
        for line in (f"{len(lines)} scans failed:", *lines):
            say(line)
    for note in summary.notes:
        say(f"note: {note}")
    if first := summary.describe_first():
        say(first)
    files: dict[str, Any] = {"table": str(out / "results.csv")}
    files["page"] = str(out / "index.html") if page else None
    text = f"{summary}; see {files['table']}"
    get_console().emit("summary", text, sys.stdout, **summary.to_dict(), **files)
