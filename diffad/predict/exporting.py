"""A model's network exported for an engine, with what that changes in the maps of healthy scans."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from diffad.engines import Engine
from diffad.engines.core import Inputs, find_core, make_inputs, record_core
from diffad.engines.export import export_core, name_export
from diffad.engines.exports import RECORD, choose_folder, hash_network
from diffad.inference.output import AnomalyOutput
from diffad.io.atomic import write_text
from diffad.io.subjects import Subject
from diffad.io.terminal import Progress
from diffad.pipeline import AnomalyPipeline
from diffad.predict.healthy_files import read_healthy
from diffad.predict.options import Options

MOST_CALLS = 32
"""Evaluations of a scan that ranges of int8 are measured on, evenly spread."""


class Recorder(Engine):
    """Torch itself, which takes down what the core is called with."""

    def __init__(self) -> None:
        super().__init__("torch")
        self.calls: list[Inputs] = []

    def bind(self, network: Any, precision: str, size: int) -> Any:
        """Return the network, whose calls are taken down."""
        return record_core(network, find_core(network), self.calls)


def export_model(
    pipe: AnomalyPipeline,
    engine: str,
    precision: str,
    subjects: Sequence[Subject] = (),
    options: Options | None = None,
    mask: str | Path | None = None,
    out: Path | None = None,
) -> dict[str, Any]:
    """Export the denoising network of a model.

    Args:
        pipe: The model, on the CPU.
        engine: "openvino", "onnx", or "compile" for the ranges of int8.
        precision: "fp32", "bf16" or "int8".
        subjects: Healthy scans: ranges of int8 are measured on them, and how much maps differ from those of
            torch in single precision; none leaves the latter out.
        options: How scans are looked at.
        mask: Brain mask of all scans, or the end of the masks' names.
        out: Folder of the export, for other programs; none where pipelines look for it.

    Returns:
        Facts: folder, engine, precision, seconds and, of scans, the difference of maps.

    Raises:
        ValueError: If the network cannot be exported, or int8 is asked for without scans.
        ImportError: If a package is missing.
        OSError: If it cannot be written.
    """
    options = options or Options()
    own = pipe.to_engine(engine).engine
    own.check_precision(precision)
    place, digest = find_core(pipe.network), hash_network(pipe.network)
    folder = (out or choose_folder(own.model, digest)) / name_export(engine, precision)
    before, calls = _look_at_all(pipe, subjects, options, mask)
    inputs = make_inputs(pipe.network, place)
    record = export_core(engine, precision, pipe.network, place, inputs, digest, folder, calls)
    facts: dict[str, Any] = {"engine": engine, "precision": precision, "folder": str(folder)}
    if out is None and before:
        facts |= _compare(pipe.to_engine(engine), precision, subjects, options, mask, before)
        write_text(folder / RECORD, json.dumps(record | facts, indent=1) + "\n")
    return facts


def _look_at_all(
    pipe: AnomalyPipeline, subjects: Sequence[Subject], options: Options, mask: str | Path | None
) -> tuple[list[AnomalyOutput], list[Inputs]]:
    """Look at scans with torch in single precision; return the results and what the core was called with."""
    outputs: list[AnomalyOutput] = []
    calls: list[Inputs] = []
    with Progress(2 * len(subjects)) as progress:
        for subject in subjects:
            pipe.engine = recorder = Recorder()
            with progress.scan(subject.name):
                outputs.append(_look_at(pipe, subject, options, mask, "fp32"))
            step = max(1, len(recorder.calls) // MOST_CALLS)
            calls += recorder.calls[::step]
    return outputs, calls


def _look_at(
    pipe: AnomalyPipeline, subject: Subject, options: Options, mask: str | Path | None, precision: str
) -> AnomalyOutput:
    volume, brain = read_healthy(subject, options, mask)
    call = {**options.call(), "precision": precision}
    return pipe(volume, brain.numpy(), **call)


def _compare(
    pipe: AnomalyPipeline,
    precision: str,
    subjects: Sequence[Subject],
    options: Options,
    mask: str | Path | None,
    before: Sequence[AnomalyOutput],
) -> dict[str, float]:
    """Return the 99th percentile of the difference of maps, and the largest share of a threshold it is."""
    gaps, shares = [], []
    for subject, torch_output in zip(subjects, before, strict=True):
        output = _look_at(pipe, subject, options, mask, precision)
        gap = measure_gap(output, torch_output)
        gaps.append(gap)
        shares.append(gap / max(float(torch_output.info["threshold"]), 1e-9))
    return {"difference_p99": max(gaps), "difference_share": max(shares)}


def measure_gap(output: AnomalyOutput, other: AnomalyOutput) -> float:
    """Return the 99th percentile of the absolute difference of two maps of a scan, inside its brain."""
    brain = other.brain > 0
    values: Tensor = (output.anomaly_map - other.anomaly_map).abs()[brain.expand_as(output.anomaly_map)]
    return float(values.double().sort().values[int(0.99 * (len(values) - 1))])
