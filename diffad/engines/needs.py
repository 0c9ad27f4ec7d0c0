"""What engines need of a machine: packages, a compiler, instructions; each absence is one sentence."""

from __future__ import annotations

import os
import shutil
from typing import Any

import torch

from diffad.engines.core import EngineError
from diffad.io.extras import import_extra

COMPILERS = ("g++", "clang++", "c++", "cl")


def import_engine(module: str, extra: str) -> Any:
    """Import a package of an extra.

    Raises:
        ImportError: If it is missing; the message says how to install it.
    """
    try:
        return import_extra(module, extra)
    except ImportError as error:
        raise ImportError(f"engine {extra}: {error}") from error


def require_compiler() -> None:
    """Refuse a machine on which torch cannot compile.

    Raises:
        EngineError: If there is no C++ compiler.
    """
    if not (os.environ.get("CXX") or any(shutil.which(name) for name in COMPILERS)):
        raise EngineError("engine compile: expected a C++ compiler (g++ or clang++), found none; install one")


def require_whole_numbers() -> None:
    """Refuse a processor on which whole numbers of 8 bits gain nothing, or overflow.

    Raises:
        EngineError: If it lacks the instructions (VNNI).
    """
    names = ("_is_avx512_vnni_supported", "_is_vnni_supported", "_is_amx_tile_supported")
    if not any(getattr(torch.cpu, name, bool)() for name in names):
        raise EngineError("precision int8: expected a processor with VNNI instructions, found none of them")


def require_cpu(name: str, device: torch.device) -> None:
    """Refuse another device than the CPU.

    Raises:
        EngineError: If it is another.
    """
    if device.type != "cpu":
        raise EngineError(f"engine {name}: expected networks on the CPU (--device cpu), got {device}")
