"""Compares anomaly maps on implanted lesions: ``python -m diffad.evaluation.implanted --data DIR``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diffad.data.lesions import implant_all
from diffad.data.slice_folder import load_slices
from diffad.evaluation.baselines import PCAResidual, ZScoreBaseline, raw_intensity
from diffad.evaluation.corrupted import LesionMaker
from diffad.evaluation.metrics import auroc, average_precision, best_dice

if TYPE_CHECKING:
    from rich.table import Table

AnomalyMap = Callable[[Tensor], Tensor]
"""Maps scans (B, 1, *S) in [0, 1] to anomaly maps (B, 1, *S)."""

METRICS = {"AP": "ap", "AUROC": "auroc", "Dice*": "dice"}
"""Fields of a row by their names in the table; the threshold of the Dice is chosen with the truth in hand."""


@dataclass(frozen=True)
class ImplantedRow:
    """How well one method finds one kind of lesion; the pixels in all brains are pooled.

    Args:
        method: Name of the method.
        kind: Kind of lesion, or ``mean`` for the mean over the kinds.
        ap: Average precision.
        auroc: Area under the ROC curve.
        dice: Dice at the best threshold, which only an oracle knows.
    """

    method: str
    kind: str
    ap: float
    auroc: float
    dice: float


def compare(
    maps: Mapping[str, AnomalyMap],
    slices: Tensor,
    brains: Tensor,
    seed: int,
    make: LesionMaker = implant_all,
) -> list[ImplantedRow]:
    """Score anomaly maps on the same lesions, one of every kind in every scan.

    Args:
        maps: Methods by name.
        slices: Healthy scans, (N, 1, *S), in [0, 1].
        brains: Brain masks, (N, 1, *S) or (1, 1, *S), boolean.
        seed: Seed of the lesions.
        make: What makes the lesions; implants them unless told otherwise.

    Returns:
        For each method a row for each kind and one of their means.
    """
    inside = brains.expand_as(slices)
    lesions = make(slices, brains, seed)
    rows = []
    for method, anomaly_map in maps.items():
        scored = [_row(method, kind, anomaly_map(x), y, inside) for kind, (x, y) in lesions.items()]
        rows += [*scored, _mean(method, scored)]
    return rows


def format_rows(rows: Sequence[ImplantedRow]) -> Table:
    """Lay rows out for the terminal: a line for each method and metric, a column for each kind."""
    from rich.table import Table

    kinds = list(dict.fromkeys(row.kind for row in rows))
    result = Table("method", "metric", *kinds, title="Implanted lesions, in-brain pixels pooled (* oracle)")
    for method in dict.fromkeys(row.method for row in rows):
        found = {row.kind: row for row in rows if row.method == method}
        for metric, name in METRICS.items():
            cells = (f"{getattr(found[kind], name):.3f}" for kind in kinds)
            result.add_row(method if name == "ap" else "", metric, *cells, end_section=name == "dice")
    return result


def run_implanted_arguments(arguments: Sequence[str] | None = None) -> None:
    """Compare the naive baselines and a model on the validation slices of a data folder."""
    parser = argparse.ArgumentParser(
        prog="python -m diffad.evaluation.implanted", description=run_implanted_arguments.__doc__
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with train/, val/ and brain_mask.png"
    )
    parser.add_argument("--model", default="ixi-t1-axial", help="name or folder of a pipeline, or none")
    parser.add_argument("--seed", type=int, default=0, help="seed of the lesions")
    parser.add_argument("--size", type=int, default=128, help="side of the slices, in pixels")
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    options = parser.parse_args(arguments)
    try:
        rows = _run(options.data, options.model, options.seed, options.size)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    _report(rows, options)


def _row(method: str, kind: str, anomaly_map: Tensor, lesion: Tensor, inside: Tensor) -> ImplantedRow:
    if anomaly_map.shape != lesion.shape:
        raise ValueError(
            f"expected a map {tuple(lesion.shape)} from {method!r}, got {tuple(anomaly_map.shape)}"
        )
    scores, truth = anomaly_map.cpu()[inside], lesion[inside]
    dice, _ = best_dice(scores, truth)
    return ImplantedRow(
        method, kind, float(average_precision(scores, truth)), float(auroc(scores, truth)), float(dice)
    )


def _mean(method: str, rows: Sequence[ImplantedRow]) -> ImplantedRow:
    ap, roc, dice = (sum(getattr(row, name) for row in rows) / len(rows) for name in METRICS.values())
    return ImplantedRow(method, "mean", ap, roc, dice)


def _run(data: Path, model: str, seed: int, size: int) -> list[ImplantedRow]:
    train, val, brain = load_slices(data, size)
    maps: dict[str, AnomalyMap] = {
        "z-score": ZScoreBaseline().fit(train, brain).score,
        "PCA residual": PCAResidual().fit(train, brain).score,
        "raw intensity": raw_intensity,
    }
    if model != "none":
        maps[model] = _model_map(model, brain)
    return compare(maps, val, brain, seed)


def _model_map(model: str, brain: Tensor, batch: int = 16) -> AnomalyMap:
    from diffad.pipeline import AnomalyPipeline

    pipe = AnomalyPipeline.from_pretrained(model)

    def anomaly_map(x: Tensor) -> Tensor:
        parts = (x[i : i + batch] for i in range(0, len(x), batch))
        return torch.cat([pipe(part, mask=brain.expand_as(part)).anomaly_map for part in parts])

    return anomaly_map


def _report(rows: Sequence[ImplantedRow], options: argparse.Namespace) -> None:
    from rich.console import Console

    Console().print(format_rows(rows))
    if options.out is not None:
        made_by = {
            "data": str(options.data),
            "model": options.model,
            "seed": options.seed,
            "size": options.size,
        }
        result = {"made_by": made_by, "rows": [asdict(row) for row in rows]}
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_implanted_arguments()
