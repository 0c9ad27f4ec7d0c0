"""An engine: its name, and networks whose core it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from torch import nn

from diffad.config.choices import EngineName, require_choice
from diffad.engines.core import Core, EngineError, Inputs, find_core, isolate_core, make_inputs, swap_core
from diffad.engines.export import WRITTEN, export_core, make_hint, name_export, open_core
from diffad.engines.exports import choose_folder, find_fault, hash_network, read_export
from diffad.engines.needs import require_cpu
from diffad.io.terminal import say

ENGINES: tuple[str, ...] = get_args(EngineName)
FORMATS = {
    "torch": ("fp32", "bf16", "fp16"),
    "compile": ("fp32", "bf16", "int8"),
    "openvino": ("fp32", "bf16", "int8"),
    "onnx": ("fp32", "int8"),
}
"""Number formats of each engine."""
TOLERANCE = 0.1
"""Largest 99th percentile of the difference to maps of torch in single precision, as a share of the model's
threshold; beyond it thresholds and p-values are said to hold less well."""


@dataclass
class Engine:
    """What runs the denoising network of a pipeline.

    Args:
        name: One of ``EngineName``.
        model: Folder of the model, where its exports lie; or none.
    """

    name: str = "torch"
    model: Path | None = None
    _networks: dict[tuple[Any, ...], nn.Module] = field(default_factory=dict, repr=False)
    _records: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        require_choice("engine", self.name, EngineName)

    def bind(self, network: Any, precision: str, size: int) -> Any:
        """Return a network to call: as it is, or with its core run by the engine.

        Args:
            network: The network, on the CPU unless the engine is torch.
            precision: One of ``FORMATS``.
            size: Items of an evaluation.

        Raises:
            EngineError: If the network has no core, or the engine cannot be used here or with this precision.
            ImportError: If a package is missing.
        """
        self.check_precision(precision)
        if self.name == "torch":
            return network
        key = (id(network), precision, size if self.name == "compile" else 0, torch.get_num_threads())
        if key not in self._networks:
            require_cpu(self.name, next(network.parameters()).device)
            self._networks[key] = self._build(network, precision, size)
        return self._networks[key]

    def check_precision(self, precision: str) -> None:
        """Refuse a number format that the engine does not have.

        Raises:
            EngineError: If it is another.
        """
        if precision not in FORMATS[self.name]:
            formats = ", ".join(FORMATS[self.name])
            raise EngineError(
                f"precision: expected one of {formats} for the engine {self.name}, got {precision!r}"
            )

    def _build(self, network: nn.Module, precision: str, size: int) -> nn.Module:
        place = find_core(network)
        core = self._open(network, place, precision, size)
        return swap_core(network, place, core)

    def _open(self, network: nn.Module, place: str, precision: str, size: int) -> Core:
        inputs, digest = make_inputs(network, place), hash_network(network)
        folder = choose_folder(self.model, digest) / name_export(self.name, precision)
        if self.name in WRITTEN or precision == "int8":
            self._records[precision] = self._find(network, place, inputs, digest, folder, precision)
        core = isolate_core(network, place, inputs)
        return open_core(self.name, precision, folder, core, size, self._records.get(precision))

    def _find(
        self, network: nn.Module, place: str, inputs: Inputs, digest: str, folder: Path, precision: str
    ) -> dict[str, Any]:
        """Return the record of the export, which is made if it is absent or stale and needs no scans."""
        record = read_export(folder)
        fault = "" if record is None else find_fault(folder, record, digest)
        if record is not None and not fault:
            return record
        if precision == "int8":
            state = f"one that {fault}" if fault else "none"
            hint = make_hint(self.name, self.model)
            raise EngineError(
                f"{folder}: expected an export in int8, found {state}; make it from healthy scans: {hint}"
            )
        if fault:
            say(f"the export {folder} {fault}: it is made again")
        return export_core(self.name, precision, network, place, inputs, digest, folder)

    def list_warnings(self, precision: str) -> list[str]:
        """Say so if maps differ by more than little from those that thresholds were measured on."""
        share = self._records.get(precision, {}).get("difference_share")
        if share is None or share <= TOLERANCE:
            return []
        gap = f"{share:.0%} of the model's threshold (99th percentile), more than {TOLERANCE:.0%}"
        maps = f"maps of the engine {self.name} in {precision}"
        return [f"{maps} differ from those of torch by {gap}: thresholds and p-values hold less well"]

    @property
    def identity(self) -> str:
        """What maps follow from beside weights, name and precision: the ranges of int8."""
        records = [record for _, record in sorted(self._records.items())]
        return " ".join(str(record["ranges"]) for record in records if "ranges" in record)
