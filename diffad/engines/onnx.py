"""The engine ONNX Runtime: the core as an ONNX graph, run on the CPU."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffad.engines.core import CoreModule, Inputs, pick_given
from diffad.engines.needs import import_engine

FILE = "model.onnx"
OPSET = 17
"""Version of the operators."""


def write_onnx(core: CoreModule, inputs: Inputs, folder: Path) -> None:
    """Write a core as ``model.onnx``, free in batch and sides.

    Args:
        core: The core, in single precision; convolutions may be rounded.
        inputs: What it may be called with.
        folder: Where to.

    Raises:
        ImportError: If a package is missing.
    """
    import_engine("onnx", "onnx")
    tensors = pick_given(inputs)
    names = [f"input_{place}" for place in range(len(tensors))]
    free = {name: _free_axes(value) for name, value in zip(names, tensors, strict=True)}
    options: dict[str, Any] = {"input_names": names, "output_names": ["answer"], "opset_version": OPSET}
    options["dynamic_axes"] = free | {"answer": free[names[0]]}
    with _silence():  # the exporter that traces: it is quick, and knows rounded convolutions
        torch.onnx.export(core, tensors, str(folder / FILE), dynamo=False, **options)


def _free_axes(value: Tensor) -> dict[int, str]:
    return {axis: f"axis_{axis}" for axis in range(value.ndim) if axis != 1}


@contextlib.contextmanager
def _silence() -> Any:
    """Keep what the exporter says of its own workings away."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


class OnnxCore:
    """A core run by ONNX Runtime on as many threads as torch has.

    Args:
        folder: Where ``write_onnx`` wrote it.

    Raises:
        ImportError: If the package is missing.
    """

    def __init__(self, folder: Path) -> None:
        runtime: Any = import_engine("onnxruntime", "onnx")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.session = runtime.InferenceSession(
            str(folder / FILE), options, providers=["CPUExecutionProvider"]
        )
        self.names = [value.name for value in self.session.get_inputs()]

    def __call__(self, *inputs: Tensor | None) -> Tensor:
        """Answer as the core does; see ``HasCore``."""
        arrays = [value.detach().contiguous().numpy() for value in pick_given(inputs)]
        return torch.from_numpy(self.session.run(None, dict(zip(self.names, arrays, strict=True)))[0])
