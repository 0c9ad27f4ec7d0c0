"""Commands around training and use: what there is by name, encoders to start from, noise, phantoms."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Kind(StrEnum):
    """What ``list`` can list."""

    noises = "noises"
    samplers = "samplers"
    guidances = "guidances"
    saliencies = "saliencies"
    scores = "scores"
    models = "models"
    datasets = "datasets"
    layouts = "layouts"
    protocols = "protocols"
    configs = "configs"
    pretrained = "pretrained"


def list_parts(kind: Annotated[Kind | None, typer.Argument(help="One kind only.")] = None) -> None:
    """Show the parts a config can name, with their options; the shipped configs and models.

    \b
    Examples:
      diffad list
      diffad list samplers
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.cli.listing import show

    show([kind.value] if kind else [k.value for k in Kind])


def demo(
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("demo_out"),
    model: Annotated[str, typer.Option(help="A shipped model or a pipeline folder.")] = "ixi-t1-axial",
    seed: Annotated[int, typer.Option(help="Seed of the lesions.")] = 0,
) -> None:
    """Find implanted lesions in a real brain with the shipped model, and show them in a picture."""
    from diffad.demo.run import run_demo

    run_demo(out, model, seed)


def pretrain(
    config: Annotated[
        str,
        typer.Argument(metavar="CONFIG", help="A config with a conditioned model."),
    ],
    assignments: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Changes to the config.")
    ] = None,
    cell: Annotated[int, typer.Option(min=1, help="Edge of the cells that are hidden, in pixels.")] = 32,
    ratio: Annotated[float, typer.Option(help="Share of the cells that is hidden.")] = 0.65,
) -> None:
    """Pretrain an encoder on healthy scans by painting hidden cells in; prints the folder for train.encoder.

    Data, space, steps and rates are those of the config. A run that was stopped goes on.

    \b
    Examples:
      diffad pretrain configs/cddpm.yaml data.root=DATA train.steps=5000 train.weight_decay=0.05
      diffad train configs/cddpm.yaml data.root=DATA train.encoder=runs/cddpm/pretraining/encoder
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.cli import tools

    raise typer.Exit(tools.pretrain(config, assignments or [], cell, ratio))


def calibrate(
    scan: Annotated[
        list[Path], typer.Argument(metavar="SCAN", help="Healthy NIfTI scans, or folders of them.")
    ],
    out: Annotated[Path, typer.Option(help="New folder for the calibrated model.")],
    model: Annotated[
        str, typer.Option(help="A shipped model, a pipeline folder, or a hub id.")
    ] = "ixi-t1-axial",
    mask: Annotated[str, typer.Option(metavar="FILE|SUFFIX", help="Brain masks, as for predict.")] = "",
    slices: Annotated[str, typer.Option(help="FIRST:LAST, as for predict.")] = "",
    fpr: Annotated[
        list[float] | None, typer.Option(help="Pixel false-positive rates; 0.01, 0.02, 0.05 and 0.1.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Slices per network evaluation.")] = 8,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Measure a model's thresholds and p-values on healthy scans of your own, and save it with them.

    A threshold holds for the scanner and the population it was measured on. Shown beside each nominal rate is
    the one achieved on healthy scans that were left out: thresholds of one half cut the other, both ways.

    \b
    Examples:
      diffad calibrate controls/ --mask _brain_mask --out models/ours
      diffad predict patients/ --mask _brain_mask --model models/ours --out maps
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.cli import commands

    options = {"slices": commands.parse_slices(slices), "batch_size": batch_size}
    raise typer.Exit(commands.calibrate(scan, model, out, mask, fpr or [], device, options))


def noise(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A registered noise.")] = "",
    assignments: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Options of the noise.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every noise with default options.")] = False,
    save: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw a contact sheet.")] = None,
    size: Annotated[int, typer.Option(min=16, max=512, help="Edge of a field in pixels.")] = 128,
    count: Annotated[
        int | None, typer.Option(min=1, max=64, help="Fields shown; 8, or 4 with --all.")
    ] = None,
    level: Annotated[int, typer.Option(min=0, help="Noise level.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all noise.")] = 0,
) -> None:
    """Draw fields of a noise and measure them: spread, correlation, spectrum, speed.

    \b
    Examples:
      diffad noise simplex --save simplex.png
      diffad noise coarse resolution=8 --level 250
      diffad noise --all --save noises.png
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.cli import tools

    draw = {"size": size, "level": level, "seed": seed}
    raise typer.Exit(tools.noise(name, assignments or [], everything, save, count, draw))


def phantom(
    out: Annotated[Path, typer.Option(help="Folder of the data set; one that was stopped is finished.")],
    subjects: Annotated[int, typer.Option(min=1, help="How many subjects.")] = 8,
    modality: Annotated[str, typer.Option(help="t1, t2, flair, ct, or several: t1,flair")] = "t1",
    lesioned: Annotated[float, typer.Option(min=0, max=1, help="Share of subjects with lesions.")] = 0.25,
    lesions: Annotated[
        str, typer.Option(help="Kinds, in turn: ischaemia,haemorrhage,plaques; all by default.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything.")] = 0,
    spacing: Annotated[float, typer.Option(metavar="MM", help="Edge of a voxel, 0.5 to 8 mm.")] = 1.0,
    picture: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw a contact sheet.")] = None,
) -> None:
    """Make phantoms: deformed MNI152 brains as MRI or CT, healthy and lesioned, with masks, as NIfTI.

    Healthy subjects go to train/ and val/, lesioned and a few healthy ones to test/; subject k is the same
    whatever their number. Anatomy comes from nilearn: pip install 'diffad[demo]'. Nothing is downloaded.

    \b
    Examples:
      diffad phantom --out DIR --subjects 8 --spacing 2
      diffad phantom --out DIR --modality t1,flair,ct --lesions plaques --picture phantoms.png
      diffad train CONFIG data.root=DIR "data.mask=*_desc-brain_mask.nii.gz"
      diffad predict DIR/test --mask _desc-brain_mask --out maps
      diffad evaluate maps --masks DIR/lesions
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.cli import tools

    options = {"modality": modality, "lesioned": lesioned, "lesions": lesions, "seed": seed}
    raise typer.Exit(tools.phantom(out, subjects, options | {"spacing": spacing}, picture))
