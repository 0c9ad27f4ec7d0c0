"""Reading the weights of perceptual networks, from files that may hold arrays and nothing else."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from einops import rearrange
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from diffad.io.files import open_regular
from diffad.score.sources import WeightFiles
from diffad.score.trunks import KINDS, Trunk

T = TypeVar("T")
Arrays = Mapping[str, Any]

_REBUILD = np.empty(0).__reduce__()[0]
SAFE_NAMES: Mapping[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _REBUILD,  # before numpy 2
    ("numpy._core.multiarray", "_reconstruct"): _REBUILD,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
"""What a pickle of arrays may name; all else is refused."""

READ_ERRORS = (
    *(OSError, EOFError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, IndexError),
    *(pickle.UnpicklingError, SafetensorError),
)
"""Errors in which reading a file of something else may end."""


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles containers of arrays; a pickle that would import or call anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few things that arrays are made of.

        Raises:
            UnpicklingError: If it is none of them.
        """
        if (module, name) not in SAFE_NAMES:
            raise pickle.UnpicklingError(f"arrays may not name {module}.{name}")
        return SAFE_NAMES[module, name]


@lru_cache(maxsize=4)
def load_trunk(trunk: str, source: WeightFiles, device: str = "cpu") -> tuple[Trunk, tuple[Tensor, ...]]:
    """Load a trunk and the weights (C_l,) of its heads, frozen.

    Raises:
        ValueError: If a file does not hold them; it is named.
    """
    network = Trunk(trunk)
    _read_file(source.trunk, f"the convolutions of {trunk}", lambda arrays: _fill_trunk(network, arrays))
    heads = _read_file(source.heads, f"the heads of {trunk}", lambda arrays: _read_heads(trunk, arrays))
    network = network.eval().requires_grad_(False).to(device)
    return network, tuple(head.to(device) for head in heads)


def _read_file(path: Path, content: str, parse: Callable[[Arrays], T]) -> T:
    try:
        return parse(_load_arrays(path))
    except READ_ERRORS as error:
        raise ValueError(f"{path}: expected {content}, found something else ({error})") from error


def _load_arrays(path: Path) -> Arrays:
    arrays: Arrays
    open_regular(path, "weights").close()
    if path.suffix == ".ckpt":
        with path.open("rb") as file:
            arrays = ArrayUnpickler(file).load()
    elif path.suffix == ".safetensors":
        arrays = load_file(str(path))
    else:
        arrays = torch.load(path, map_location="cpu", weights_only=True)
    return arrays


@torch.no_grad()
def _fill_trunk(network: Trunk, arrays: Arrays) -> None:
    if "features.0.weight" in arrays:
        network.load_state_dict({k: v for k, v in arrays.items() if k.startswith("features.")})
        return
    (layers,) = (values for name, values in arrays.items() if not name.startswith("NetLinLayer"))
    if len(layers) != len(network.convolutions):
        raise ValueError(f"{len(layers)} convolutions for {len(network.convolutions)}")
    for number, layer in enumerate(network.convolutions):
        values = layers[f"Conv_{number}"]
        layer.load_state_dict({"weight": to_oihw(values["kernel"]), "bias": torch.from_numpy(values["bias"])})


def _read_heads(trunk: str, arrays: Arrays) -> tuple[Tensor, ...]:
    numbers = range(len(KINDS[trunk].taps))
    if "NetLinLayer_0" in arrays:
        kernels = [to_oihw(arrays[f"NetLinLayer_{n}"]["Conv_0"]["kernel"]) for n in numbers]
    else:
        kernels = [arrays[f"lin{n}.model.1.weight"] for n in numbers]
    heads = tuple(rearrange(kernel.float(), "1 c 1 1 -> c") for kernel in kernels)
    widths = tuple(len(head) for head in heads)
    if widths != KINDS[trunk].widths or any(bool((head < 0).any()) for head in heads):
        raise ValueError(f"heads of widths {widths} for {KINDS[trunk].widths}, none of them negative")
    return heads


def to_oihw(kernel: np.ndarray) -> Tensor:
    """Turn a kernel (H, W, C_in, C_out) into one of torch, (C_out, C_in, H, W)."""
    return rearrange(torch.from_numpy(kernel), "h w i o -> o i h w").contiguous()
