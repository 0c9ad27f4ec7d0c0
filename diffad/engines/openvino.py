"""The engine OpenVINO: the core as its intermediate representation, run by its CPU plug-in."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffad.engines.core import CoreModule, Inputs, pick_given
from diffad.engines.needs import import_engine

FILE = "openvino.xml"


def write_openvino(core: CoreModule, inputs: Inputs, folder: Path) -> None:
    """Write a core as ``openvino.xml`` and ``openvino.bin``, free in batch and sides.

    Args:
        core: The core, in single precision; convolutions may be rounded.
        inputs: What it may be called with.
        folder: Where to.

    Raises:
        ImportError: If the package is missing.
    """
    ov = import_engine("openvino", "openvino")
    tensors = pick_given(inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing, which the check of the export covers
        model = ov.convert_model(core, example_input=tensors)
    model.reshape({place: _free_shape(value) for place, value in enumerate(tensors)})
    ov.save_model(model, str(folder / FILE), compress_to_fp16=False)


def _free_shape(value: Tensor) -> list[int]:
    return [-1, *value.shape[1:2], *[-1] * (value.ndim - 2)]


class OpenVINOCore:
    """A core run by OpenVINO on as many threads as torch has.

    Args:
        folder: Where ``write_openvino`` wrote it.
        precision: "fp32", "bf16" or "int8", which is bf16 but for its convolutions.

    Raises:
        ImportError: If the package is missing.
    """

    def __init__(self, folder: Path, precision: str) -> None:
        ov: Any = import_engine("openvino", "openvino")
        hint = ov.Type.f32 if precision == "fp32" else ov.Type.bf16
        options = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        options |= {"NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
        core = ov.Core()
        self.request = core.compile_model(
            core.read_model(str(folder / FILE)), "CPU", options
        ).create_infer_request()

    def __call__(self, *inputs: Tensor | None) -> Tensor:
        """Answer as the core does; see ``HasCore``."""
        arrays = [value.detach().contiguous().numpy() for value in pick_given(inputs)]
        answer = self.request.infer(arrays, share_inputs=True, share_outputs=False)
        return torch.from_numpy(answer[0])
