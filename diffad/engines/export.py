"""Cores written for an engine, and compared with torch before they are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffad.engines import exports
from diffad.engines.compiled import CompiledCore
from diffad.engines.core import (
    Core,
    CoreModule,
    EngineError,
    Inputs,
    isolate_core,
    make_inputs,
    pick_given,
)
from diffad.engines.onnx import OnnxCore, write_onnx
from diffad.engines.openvino import OpenVINOCore, write_openvino
from diffad.engines.quantise import Ranges, RoundedConv, measure_ranges, quantise_core

WRITTEN = {"openvino": write_openvino, "onnx": write_onnx}
"""Engines whose cores are files, and what writes them."""
PACKAGES = {"compile": "torch", "openvino": "openvino", "onnx": "onnxruntime"}
SIZES = ((2, 2), (1, 3), (5, 2))
"""Items and sides that an export is compared at."""
CLOSE = 1e-3
"""Largest difference to torch, over the spread of its answer, of an export in single precision."""


def name_export(engine: str, precision: str) -> str:
    """Name the folder of an export; bf16 is fp32 on disk, narrowed when it is read."""
    return f"{engine}-{'int8' if precision == 'int8' else 'fp32'}"


def make_hint(engine: str, model: Path | None) -> str:
    """Return the command that makes an export in int8."""
    return f"diffad export {model or 'MODEL'} --to {engine} --precision int8 --scans FOLDER"


def export_core(
    engine: str,
    precision: str,
    network: nn.Module,
    place: str,
    inputs: Inputs,
    digest: str,
    folder: Path,
    calls: Sequence[Inputs] = (),
) -> dict[str, Any]:
    """Write the core of a network for an engine, once it answers as torch does; return its record.

    Args:
        engine: "openvino" or "onnx"; "compile" writes the ranges of int8 alone.
        precision: "fp32", "bf16" or "int8".
        network: The network.
        place: Where its core is.
        inputs: What the core may be called with.
        digest: Hash of the network.
        folder: Where to.
        calls: What the core is called with on real scans, for int8.

    Raises:
        EngineError: If the network cannot be exported, or there are no calls for int8; it is named.
        ImportError: If a package is missing.
        UnwritableError: If the folder cannot be written.
    """
    core = isolate_core(network, place, inputs)
    record: dict[str, Any] = {"engine": engine, "precision": precision, "network": digest}
    record |= {"versions": {name: metadata.version(name) for name in ("torch", PACKAGES[engine])}}
    light_core = core
    if precision == "int8":
        ranges = _measure(core, calls, network)
        record |= {"ranges": ranges, "calls": len(calls)}
        light_core = quantise_core(core, ranges, RoundedConv)
    write = partial(_write, engine, light_core, inputs, network, place, precision)
    exports.write_export(folder, record, write)
    return exports.read_export(folder) or record


def _measure(core: CoreModule, calls: Sequence[Inputs], network: nn.Module) -> Ranges:
    if not calls:
        raise EngineError("precision int8: expected healthy scans to measure ranges on (--scans), got none")
    ranges = measure_ranges(core, calls)
    if not ranges:
        name = type(network).__name__
        raise EngineError(
            f"precision int8: expected a network with 2-D convolutions of 16 channels, got {name}"
        )
    return ranges


def _write(
    engine: str,
    core: CoreModule,
    inputs: Inputs,
    network: nn.Module,
    place: str,
    precision: str,
    folder: Path,
) -> None:
    if engine not in WRITTEN:  # its ranges are in the record
        return
    try:
        WRITTEN[engine](core, inputs, folder)
        engine_core = open_core(engine, "fp32", folder, core, 0)
        gap = max(_compare(core, engine_core, make_inputs(network, place, *size)) for size in SIZES)
    except ImportError:
        raise
    except Exception as error:  # whatever an exporter says of a layer it does not know
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise EngineError(f"{type(network).__name__} cannot be exported for {engine}: {reason}") from error
    if precision != "int8" and gap > CLOSE:
        problem = f"its answers differ from those of torch by {gap:.2g}"
        raise EngineError(f"{type(network).__name__} cannot be exported for {engine}: {problem}")


@torch.no_grad()
def _compare(core: CoreModule, engine_core: Core, inputs: Inputs) -> float:
    """Return the largest difference between two cores, over the spread of the first, at least 1e-3."""
    answer: Tensor = core(*pick_given(inputs))
    gap = float((engine_core(*inputs) - answer).abs().max())
    return gap / max(float(answer.std()), 1e-3)


def open_core(
    engine: str,
    precision: str,
    folder: Path,
    core: CoreModule,
    size: int,
    record: Mapping[str, Any] | None = None,
) -> Core:
    """Return what runs a core.

    Args:
        engine: "compile", "openvino" or "onnx".
        precision: "fp32", "bf16" or "int8".
        folder: Where the export lies.
        core: The core, which "compile" compiles.
        size: Items of an evaluation, for "compile".
        record: Record of the export, which holds the ranges of int8.

    Raises:
        EngineError: If the machine lacks what the engine needs.
        ImportError: If a package is missing.
    """
    if engine == "openvino":
        return OpenVINOCore(folder, precision)
    if engine == "onnx":
        return OnnxCore(folder)
    ranges = (record or {}).get("ranges")
    return CompiledCore(core, precision, size, ranges if precision == "int8" else None)
