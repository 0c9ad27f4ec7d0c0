"""Which number format the network runs in."""

from __future__ import annotations

import torch

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Autocast types by name; none keeps single precision."""


def resolve_precision(name: str, device: torch.device) -> str:
    """Turn "auto" into "bf16" where the device computes in it natively, else into "fp32"; other names pass.

    Raises:
        ValueError: If the name is unknown.
    """
    if name not in (*PRECISIONS, "auto"):
        raise ValueError(f"precision must be one of auto, {', '.join(PRECISIONS)}, got {name!r}")
    if name != "auto":
        return name
    return "bf16" if has_native_bf16(device) else "fp32"


def has_native_bf16(device: torch.device) -> bool:
    """Tell whether a device computes in bf16 itself, rather than by other formats."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Emulated bf16 is slower than single precision; torch tells what the processor has by private names only.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, name, bool)() for name in names)
