"""The command that scores maps against lesion masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from diffad.io.terminal import say, show


def evaluate_command(
    predictions: Annotated[
        Path, typer.Argument(metavar="PRED_DIR", help="Folder that diffad predict wrote.")
    ],
    masks: Annotated[Path, typer.Option(help="Folder of lesion masks, or the mask of a single scan.")],
    brains: Annotated[
        Path | None, typer.Option(help="Folder of brain masks, in place of the part that predict analysed.")
    ] = None,
    healthy_without_mask: Annotated[
        bool, typer.Option("--healthy-without-mask", help="Count scans without a lesion mask as healthy.")
    ] = False,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            help="Also score by a named protocol, with intervals; may be repeated. See diffad list protocols."
        ),
    ] = None,
    folds: Annotated[
        int, typer.Option(min=0, help="Tune thresholds on other subjects, in this many folds.")
    ] = 0,
    resample: Annotated[
        bool, typer.Option("--resample", help="Bring masks on other grids to the grid of the map.")
    ] = False,
    normative: Annotated[
        bool,
        typer.Option(
            "--normative", help="Measure the reconstructions, too: RQI, AHI, CACI and their components."
        ),
    ] = False,
    normals: Annotated[
        Path | None,
        typer.Option(help="Folder that diffad predict wrote of the model's training scans; AHI needs it."),
    ] = None,
    strata: Annotated[
        bool,
        typer.Option(
            "--strata",
            help="Also score by size, kind and region of the lesions, and false alarms in healthy heads.",
        ),
    ] = False,
    out: Annotated[
        list[Path] | None, typer.Option(help="Write the scores to a .json or .csv file; may be repeated.")
    ] = None,
) -> None:
    """Score maps against lesion masks, in the part of the brain that was analysed.

    The lesion mask of the scan A is A_lesion, A_lesions, A_seg, A_label, A_labels, A_roi, A_mask or A,
    anywhere in the folder; the last part of the name may be missing (sub-01_lesion for sub-01_T1w), and BIDS
    names go by their entities (sub-01_label-lesion_mask). A mask that could be of two scans is an error.
    Voxels above 0 are lesion, and an empty mask means a healthy scan. "Best Dice" takes the threshold that
    suits the truth best: it is an oracle, not a result.

    \b
    Examples:
      diffad evaluate maps --masks lesions --out scores.json --out scores.csv
      diffad evaluate maps --masks lesions --healthy-without-mask
      diffad evaluate maps --masks lesions --protocol diffad --protocol pddpm --folds 2
      diffad evaluate maps --masks implants/lesions --strata --out scores.json
      diffad evaluate maps --masks lesions --normative --normals maps_of_training_scans
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.evaluation import tables
    from diffad.evaluation.cohort import evaluate_predictions
    from diffad.evaluation.normative import NormativeSet
    from diffad.evaluation.predictions import collect_predictions, read_predictions
    from diffad.evaluation.strata import StrataSet, read_kinds
    from diffad.evaluation.strata_table import print_strata
    from diffad.registry import PROTOCOLS

    if others := [path for path in out or [] if path.suffix not in tables.WRITERS]:
        raise typer.BadParameter(f"--out: expected a name that ends in .json or .csv, got {others[0]}")
    if normals is not None and not normative:
        raise typer.BadParameter("--normals: expected --normative beside it")
    protocols = [PROTOCOLS.build(name) for name in protocol or []]  # an unknown name fails before any reading
    maps = collect_predictions(predictions, masks, brains, healthy_without_mask, resample)
    training_scans = read_predictions(normals) if normals is not None else ()
    normative_set = NormativeSet.of(training_scans) if normative else None
    strata_set = StrataSet(read_kinds(masks)) if strata else None
    evaluation = evaluate_predictions(maps, protocols, folds, normative_set, strata_set)
    for warning in evaluation.warnings:
        say(f"warning: {warning}")
    tables.print_evaluation(evaluation)
    for result in evaluation.protocols:
        tables.print_protocol(result)
    if evaluation.strata is not None:
        print_strata(evaluation.strata)
    show("evaluation", **json.loads(tables.as_json(evaluation)))
    for path in out or []:
        tables.write_evaluation(evaluation, path)
