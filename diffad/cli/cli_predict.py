"""The command that finds anomalies in a cohort of scans."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from diffad.cli.cli_prepare import Brain, Modality, Register


class Precision(StrEnum):
    """Number format of the network."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


class Layout(StrEnum):
    """How results are named."""

    auto = "auto"
    plain = "plain"
    bids = "bids"


class Policy(StrEnum):
    """When failed scans make the exit code 1."""

    any = "any"
    all = "all"
    never = "never"


def predict(
    scan: Annotated[
        list[Path],
        typer.Argument(metavar="SCAN", help="NIfTI files, or folders that are searched for them."),
    ],
    model: Annotated[
        str, typer.Option(help="A shipped model, a pipeline folder, or a hub id.")
    ] = "ixi-t1-axial",
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("results"),
    mask: Annotated[
        str,
        typer.Option(
            metavar="FILE|SUFFIX", help="Brain mask: a file, or what the masks' names end in (_brain)."
        ),
    ] = "",
    region: Annotated[
        str,
        typer.Option(
            metavar="FILE|SUFFIX", help="Where the twin may differ, for samplers that edit a region."
        ),
    ] = "",
    sequences: Annotated[
        str, typer.Option(help="Ends of the names of one subject's sequences: t1,flair")
    ] = "",
    slices: Annotated[
        str, typer.Option(help="FIRST:LAST, LAST exclusive, counted from 0 in RAS; all by default.")
    ] = "",
    threshold: Annotated[
        str, typer.Option(help='A number or "otsu"; the model\'s calibrated one by default.')
    ] = "",
    sampler: Annotated[
        list[str] | None, typer.Option(help="Another sampler, as YAML, or one option of it as key=value.")
    ] = None,
    score: Annotated[list[str] | None, typer.Option(help="Another score, in the same way.")] = None,
    noise: Annotated[list[str] | None, typer.Option(help="Another noise, in the same way.")] = None,
    guidance: Annotated[list[str] | None, typer.Option(help="Another guidance, in the same way.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all noise.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Slices per network evaluation; more on a GPU.")] = 8,
    precision: Annotated[Precision, typer.Option(help="auto is bf16 where it is native.")] = Precision.auto,
    axes: Annotated[
        str, typer.Option(metavar="A,B", help="Cut slices along these axes and fuse: axial,coronal,sagittal")
    ] = "",
    fusion: Annotated[str, typer.Option(help="How maps of several axes become one: mean, median, max.")] = "",
    noise_across: Annotated[
        str, typer.Option(help="slice: each slice its own noise; scan: one for all slices of a scan.")
    ] = "",
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Scans are as the scanner left them; see diffad prepare.")
    ] = False,
    modality: Annotated[Modality, typer.Option(help="With --prepare: ct expects HU.")] = Modality.mri,
    brain: Annotated[Brain, typer.Option(help="With --prepare: how the brain is found.")] = Brain.auto,
    register: Annotated[Register, typer.Option(help="With --prepare: to MNI152.")] = Register.affine,
    bias: Annotated[bool, typer.Option(help="With --prepare: correct the bias field (N4).")] = True,
    layout: Annotated[
        Layout, typer.Option(help="How results are named; auto is bids for scans of a BIDS tree.")
    ] = Layout.auto,
    page: Annotated[bool, typer.Option(help="Write a web page of each scan and of all.")] = True,
    on_failure: Annotated[
        Policy, typer.Option(help="Exit code 1 if any scan failed, only if all did, or never.")
    ] = Policy.any,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Redo scans that have results.")] = False,
) -> None:
    """Find anomalies: map, detections, pseudo-healthy twin and picture of each scan; results.csv of all.

    Scans must be skull-stripped (0 outside the brain), or come with brain masks, or be made ready with
    --prepare, which brings all results back to the scan's own grid. A scan that cannot be used is reported
    and the rest go on. A second run does what is missing. Scans of a BIDS tree become a BIDS derivative.
    index.html in the folder of the results leads to a page of each scan.

    \b
    Examples:
      diffad predict sub-01_T1w.nii.gz --out maps --slices 91:100
      diffad predict cohort/ --out maps --mask _brain_mask       A.nii.gz has A_brain_mask.nii.gz
      diffad predict cohort/ --out maps --sequences t1,flair     A_t1.nii.gz with A_flair.nii.gz
      diffad predict bids/ --out bids/derivatives/diffad --prepare --sequences T1w
      torchrun --nproc_per_node 2 -m diffad.predict cohort/ --out maps
      diffad predict scan.nii.gz --sampler "{name: chain, level: 200, steps: 10}" --threshold otsu
      diffad predict scan.nii.gz --model runs/cddpm/pipeline --guidance "{name: encoder, source: mirror}"
      diffad predict scan.nii.gz --sampler "{name: resampled}" --region lesion.nii.gz

    Files of one name in several folders are told apart by the folders' names: a_T1_anomaly.nii.gz.
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.cli import commands_predict

    options: dict[str, Any] = {
        "sampler": sampler or [],
        "score": score or [],
        "noise": noise or [],
        "guidance": guidance or [],
        "threshold": threshold,
        "slices": slices,
        "seed": seed,
        "axes": axes,
        "fusion": fusion or None,
        "noise_across": noise_across or None,
        "batch_size": batch_size,
        "precision": precision.value,
    }
    words = commands_predict.Words(
        scan, model, out, mask, region, sequences, device, overwrite, layout.value, page, on_failure.value
    )
    ready = {"modality": modality.value, "brain": brain.value, "register": register.value, "bias": bias}
    raise typer.Exit(commands_predict.predict(words, options, ready if prepare else None))
