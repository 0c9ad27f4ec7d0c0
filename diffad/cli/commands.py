"""What ``calibrate`` and ``evaluate_samples`` do with their words, and how words are read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import typer
import yaml

from diffad.config.schema import PartSpec, override
from diffad.io.subjects import find_scans, group_subjects, parse_mask


def check_names(names: Sequence[str], trained: Sequence[str] | None) -> None:
    """Refuse sequences that are not the model's, or not in its order.

    Raises:
        ValueError: With both lists.
    """
    if names and trained and [n.lower() for n in names] != [n.lower() for n in trained]:
        raise ValueError(
            f"expected --sequences {','.join(trained)}, as the model was trained on, got {','.join(names)}"
        )


def load(model: str) -> Any:
    """Load a pipeline without a word on the way.

    Raises:
        OSError: If there is no such model.
        ValueError: If its files do not fit together; the model is named.
    """
    from diffusers.utils import logging

    from diffad.pipeline import AnomalyPipeline

    logging.disable_progress_bar()
    logging.set_verbosity(logging.CRITICAL)  # what matters comes as an exception, which is told once
    torch.set_flush_denormal(True)  # denormal numbers slow a CPU down a hundredfold, and no map needs them
    return AnomalyPipeline.from_pretrained(model)


def parse_slices(text: str) -> tuple[int, int] | None:
    """Read FIRST:LAST.

    Raises:
        BadParameter: If it is not two whole numbers, the first not negative and less than the last.
    """
    if not text:
        return None
    first, _, last = text.partition(":")
    if not (first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise typer.BadParameter(f"expected --slices FIRST:LAST with 0 <= FIRST < LAST, got {text!r}")
    return int(first), int(last)


def parse_threshold(text: str) -> float | str | None:
    """Read a threshold.

    Raises:
        BadParameter: If it is neither a finite number nor "otsu".
    """
    if text in ("", "otsu"):
        return text or None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value - value != 0:
        raise typer.BadParameter(f"expected --threshold a number or 'otsu', got {text!r}")
    return value


def parse_device(text: str) -> str:
    """Choose the device: "auto" is a GPU where there is one.

    Raises:
        BadParameter: If there is no such device.
    """
    if text == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if text != "cpu" and not (text.startswith("cuda") and torch.cuda.is_available()):
        raise typer.BadParameter(
            f"expected --device auto, cpu or a GPU (cuda) that torch can use, got {text!r}"
        )
    return text


def parse_part(part: str, texts: Sequence[str], own: PartSpec) -> PartSpec | None:
    """Read a part from a name, a YAML mapping, or key=value laid over the model's ``own``.

    Args:
        part: What it is, "sampler" for example.
        texts: What was given for it.
        own: The model's own; empty where it has none.

    Raises:
        BadParameter: If it is none of these.
    """
    if not texts:
        return None
    spec: Any = own
    for text in texts:
        try:
            spec = override(spec, [text]) if _is_assignment(text) else yaml.safe_load(text)
        except (ValueError, yaml.YAMLError) as error:
            raise typer.BadParameter(f"--{part} {text!r}: {error}") from error
        spec = {"name": spec} if isinstance(spec, str) else spec
        if not isinstance(spec, dict) or not isinstance(spec.get("name"), str):
            raise typer.BadParameter(f"expected --{part} a mapping with a 'name', or key=value, got {text!r}")
        if text.startswith("name="):  # another part has other options
            spec = {"name": spec["name"]}
    return dict(spec)


def _is_assignment(text: str) -> bool:
    return "=" in text and not text.lstrip().startswith("{")


def calibrate(
    sources: Sequence[Path],
    model: str,
    out: Path,
    mask: str,
    rates: Sequence[float],
    device: str,
    options: dict[str, Any],
) -> int:
    """Run ``diffad calibrate`` and return its exit code.

    Raises:
        ValueError: If there is no scan that can be used, or an option does not fit.
        OSError: If there is no such model, or the folder exists or cannot be written.
    """
    from diffad.predict import calibrate as calibration
    from diffad.predict.options import Options
    from diffad.threshold import RATES

    calibration.require_new(out)
    where, masks = parse_device(device), parse_mask(mask) if mask else None
    cohort = group_subjects(find_scans(sources, out, masks).scans, [])
    pipe = load(model).to(where)
    found = calibration.calibrate_on(pipe, cohort, Options(**options), masks, rates or RATES)
    calibration.save_model(pipe, out)
    print(calibration.describe_calibration(found, len(cohort)))
    print(f"see {out}; use it with --model {out}")
    return 0


def evaluate(
    predictions: Path,
    masks: Path,
    brains: Path | None,
    healthy_without_mask: bool,
    out: Sequence[Path],
    protocols: Sequence[str] = (),
    folds: int = 0,
    resample: bool = False,
) -> int:
    """Run ``diffad evaluate`` and return its exit code.

    Raises:
        ValueError: If nothing can be paired, or files do not fit together.
        OSError: If a table cannot be written.
    """
    from diffad.evaluation import tables
    from diffad.evaluation.cohort import score_collection
    from diffad.evaluation.pairs import collect
    from diffad.evaluation.protocols.evaluate import evaluate_samples as by_protocol
    from diffad.registry import PROTOCOLS

    if bad := [p for p in out if p.suffix not in tables.WRITERS]:
        raise typer.BadParameter(f"expected --out to end in .json or .csv, got {bad[0]}")
    chosen = [PROTOCOLS.build(name) for name in protocols]  # an unknown name fails before anything is read
    found = collect(predictions, masks, brains, healthy_without_mask, resample)
    for warning in found.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    result = score_collection(found)
    tables.print_evaluation(result)
    for protocol in chosen:
        result.protocols.append(by_protocol(found.samples, protocol, folds=folds))
        tables.print_protocol(result.protocols[-1])
    for path in out:
        tables.write_evaluation(result, path)
    return 0
