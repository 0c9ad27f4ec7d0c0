"""Which number format the network runs in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from diffad.engines.engine import FORMATS, Engine

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.bfloat16}
"""Autocast types by name; none keeps single precision. What int8 leaves of a network runs in bf16."""


def resolve_precision(name: str, device: torch.device, engine: str = "torch") -> str:
    """Turn "auto" into "bf16" where device and engine compute in it natively, else into "fp32"; others pass.

    Args:
        name: A ``Precision``.
        device: Where the network lives.
        engine: What runs it.

    Raises:
        ValueError: If the name is unknown, or the engine or the device does not have it.
    """
    if name not in (*PRECISIONS, "auto"):
        raise ValueError(f"precision must be one of auto, {', '.join(PRECISIONS)}, got {name!r}")
    if name == "auto":
        return "bf16" if has_native_bf16(device) and "bf16" in FORMATS[engine] else "fp32"
    if name not in FORMATS[engine]:
        formats = ", ".join(FORMATS[engine])
        raise ValueError(f"precision: expected one of {formats} for the engine {engine}, got {name!r}")
    if device.type == "mps" and name == "bf16" and not has_mps_bf16():
        raise ValueError(
            "precision: expected fp32 or fp16 on this system, as its mps has no bf16, got 'bf16'"
        )
    return name


def list_engine_warnings(engine: Engine, precision: str, calibration: Mapping[str, Any] | None) -> list[str]:
    """Say so if thresholds hold less well, as they were measured on maps that are rounded otherwise.

    Args:
        engine: What runs the network.
        precision: Its number format.
        calibration: What the model keeps of healthy scans, or nothing; older models do not say with which
            engine they were measured, which then was torch in no whole numbers.
    """
    if not calibration:
        return engine.list_warnings(precision)
    own = calibration.get("engine", ""), calibration.get("precision", "")
    if own == (engine.name, precision):
        return []
    if own[1] != "int8":
        return engine.list_warnings(precision)
    here = f"these maps are of {engine.name} in {precision}"
    return [f"thresholds and p-values hold less well: they are of {own[0]} in int8, and {here}"]


def has_mps_bf16() -> bool:
    """Tell whether the GPU of a Mac computes in bf16, which takes macOS 14."""
    return torch.backends.mps.is_available() and torch.backends.mps.is_macos_or_newer(14, 0)


def has_native_bf16(device: torch.device) -> bool:
    """Tell whether a device computes in bf16 itself, rather than by other formats."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Emulated bf16 is slower than single precision; torch tells what the processor has by private names only.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, name, bool)() for name in names)
