"""Compares trained methods on made-up lesions: ``python -m diffad.evaluation.methods DATA MODEL...``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from diffad.config.schema import PartSpec
from diffad.data.slice_folder import load_slices
from diffad.evaluation.baselines import PCAResidual, ZScoreBaseline, raw_intensity
from diffad.evaluation.corrupted import LesionMaker, lesion_maker
from diffad.evaluation.implanted import ImplantedRow, compare


@dataclass
class ComparedMethod:
    """One line of the table.

    Args:
        name: What the line is called.
        score: Maps scans (B, 1, *S) in [0, 1] to anomaly maps (B, 1, *S), given the seed of the noise.
        parameters: Weights of the network.
        nfe: Network evaluations per slice.
        seconds: Seconds per slice, a value for each call.
        rows: What was found, over the kinds of lesions and the seeds.
    """

    name: str
    score: Callable[[Tensor, int], Tensor]
    parameters: int = 0
    nfe: int = 0
    seconds: list[float] = field(default_factory=list)
    rows: list[ImplantedRow] = field(default_factory=list)

    def timed(self, seed: int) -> Callable[[Tensor], Tensor]:
        """Return the map for one seed of the noise, which notes how long it takes."""

        def anomaly_map(x: Tensor) -> Tensor:
            began = time.perf_counter()
            found = self.score(x, seed)
            self.seconds.append((time.perf_counter() - began) / len(x))
            return found

        return anomaly_map

    def told(self, metric: str, kind: str) -> str:
        """Return one cell: the mean over the seeds, with the standard deviation where there are several."""
        values = [getattr(row, metric) for row in self.rows if row.kind == kind]
        spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
        return f"{mean(values):.3f}{spread}"


def baselines(train: Tensor, brain: Tensor) -> list[ComparedMethod]:
    """Fit the naive methods that every other must beat; brightness alone needs no fit."""
    z, pca = ZScoreBaseline().fit(train, brain), PCAResidual().fit(train, brain)
    lines = [
        ComparedMethod("z-score", lambda x, seed: z.score(x)),
        ComparedMethod("PCA 16", lambda x, seed: pca.score(x)),
    ]
    return [*lines, ComparedMethod("raw intensity", lambda x, seed: raw_intensity(x))]


def model(
    source: str, brain: Tensor, parts: dict[str, PartSpec], precision: str, batch: int = 8
) -> ComparedMethod:
    """Make a line of a pipeline.

    Args:
        source: Name or folder of the pipeline; ``LABEL=FOLDER`` gives it another name in the table.
        brain: Brain mask of the slices, (1, 1, *S).
        parts: Parts that replace the pipeline's own, by their keys.
        precision: As for the pipeline.
        batch: Slices per network evaluation.
    """
    from diffad.pipeline import AnomalyPipeline

    label, _, folder = source.rpartition("=")
    pipe = AnomalyPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    sizes = [p.numel() for p in pipe.network.parameters()]
    line = ComparedMethod(label or pipe.config.provenance.get("name", folder), lambda x, seed: x, sum(sizes))

    def score(x: Tensor, seed: int) -> Tensor:
        options: dict[str, Any] = {**parts, "seed": seed, "batch_size": batch, "precision": precision}
        found = pipe(x, mask=brain.expand_as(x), **options)
        line.nfe = found.info["nfe"]
        return found.anomaly_map

    line.score = score
    return line


def score_methods(
    methods: Sequence[ComparedMethod],
    slices: Tensor,
    brain: Tensor,
    seeds: Sequence[int],
    make: LesionMaker | None = None,
) -> None:
    """Score all methods on the lesions of each seed; the noise of the models has the same seed.

    Args:
        methods: Lines of the table, which keep what was found.
        slices: Healthy scans, (N, 1, *S), in [0, 1].
        brain: Brain mask of the slices, (1, 1, *S).
        seeds: Seeds of lesions and noise.
        make: What makes the lesions; implants them unless told otherwise.
    """
    for seed in seeds:
        lesions = (make or lesion_maker())(slices, brain, seed)
        for method in methods:
            line = {method.name: method.timed(seed)}
            method.rows += compare(line, slices, brain, seed, lambda *_, known=lesions: known)
            print(f"seed {seed}: {method.name} {method.rows[-1].ap:.3f}", flush=True)


def format_methods(methods: Sequence[ComparedMethod]) -> str:
    """Lay the lines out as a table: AP (best Dice) of each kind, cost of each method."""
    kinds = list(dict.fromkeys(row.kind for m in methods for row in m.rows))
    head = ["method", *(k.replace("_", " ") for k in kinds), "NFE", "s / slice", "parameters"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for m in methods:
        cells = [f"{m.told('ap', kind)} ({m.told('dice', kind)})" for kind in kinds]
        cost = [str(m.nfe or "–"), f"{mean(m.seconds):.3f}", f"{m.parameters / 1e6:.2f} M"]
        lines.append("| " + " | ".join([m.name, *cells, *cost]) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare the naive baselines and trained pipelines on the validation slices of a data folder."""
    parser = argparse.ArgumentParser(prog="python -m diffad.evaluation.methods", description=main.__doc__)
    parser.add_argument("data", type=Path, help="folder with train/, val/ and brain_mask.png")
    parser.add_argument("models", nargs="*", help="pipelines: FOLDER, shipped name, or LABEL=FOLDER")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of lesions and noise")
    parser.add_argument("--size", type=int, default=128, help="side of the slices, in pixels")
    parser.add_argument(
        "--lesions", choices=["implanted", "corrupted"], default="implanted", help="what is to be found"
    )
    parser.add_argument(
        "--tasks", nargs="+", metavar="KIND", help="kinds of lesions, such as those held out in training"
    )
    parser.add_argument("--limit", type=int, help="use the first so many validation slices")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=PART", help="sampler, score, noise, guidance"
    )
    parser.add_argument(
        "--each", nargs="*", default=[], metavar="KEY=PART", help="like --set, a line for each"
    )
    parser.add_argument("--precision", default="auto", help="as for the pipeline")
    parser.add_argument("--no-baselines", action="store_true", help="leave the naive methods out")
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    options = parser.parse_intermixed_args(arguments)
    try:
        methods = _compared(options)
    except (OSError, ValueError, KeyError) as error:
        parser.error(str(error))
    print(format_methods(methods))
    if options.out is not None:
        made_by = {key: str(value) for key, value in vars(options).items()}
        rows = [{**asdict(row), "nfe": m.nfe, "seconds": mean(m.seconds)} for m in methods for row in m.rows]
        options.out.write_text(json.dumps({"made_by": made_by, "rows": rows}, indent=1) + "\n", "utf-8")


def _compared(options: Any) -> list[ComparedMethod]:
    from diffad.config.yaml import override
    from diffad.inference.precision import resolve_precision

    torch.set_flush_denormal(True)
    train, val, brain = load_slices(options.data, options.size)
    make = lesion_maker(options.lesions, options.tasks, list(train))
    parts = override({}, options.set)
    precision = resolve_precision(options.precision, torch.device("cpu"))
    methods = [] if options.no_baselines else baselines(train, brain)
    for source in options.models:
        for change in options.each or [""]:
            chosen = override(parts, [change]) if change else parts
            methods.append(model(source, brain, chosen, precision))
            methods[-1].name += f" {change}".rstrip()
    score_methods(methods, val[: options.limit], brain, options.seeds, make)
    return methods


if __name__ == "__main__":
    main()
