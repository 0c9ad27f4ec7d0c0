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

from diffad.score.sources import WeightFiles
from diffad.score.trunks import KINDS, Trunk

T = TypeVar("T")
Held = Mapping[str, Any]

_REBUILD = np.empty(0).__reduce__()[0]
ALLOWED: Mapping[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _REBUILD,  # before numpy 2
    ("numpy._core.multiarray", "_reconstruct"): _REBUILD,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
"""What a pickle of arrays names; all else is refused."""

BROKEN = (
    *(OSError, EOFError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, IndexError),
    *(pickle.UnpicklingError, SafetensorError),
)
"""How reading a file of something else may end."""


class ArraysOnly(pickle.Unpickler):
    """Unpickles containers of arrays; a pickle that would import or call anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few things that arrays are made of.

        Raises:
            UnpicklingError: If it is none of them.
        """
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"arrays may not name {module}.{name}")
        return ALLOWED[module, name]


@lru_cache(maxsize=4)
def load_trunk(trunk: str, source: WeightFiles, device: str = "cpu") -> tuple[Trunk, tuple[Tensor, ...]]:
    """Load a trunk and the weights (C_l,) of its heads, frozen.

    Raises:
        ValueError: If a file does not hold them; it is named.
    """
    network = Trunk(trunk)
    _read(source.trunk, f"the convolutions of {trunk}", lambda held: _fill(network, held))
    heads = _read(source.heads, f"the heads of {trunk}", lambda held: _heads(trunk, held))
    frozen = network.eval().requires_grad_(False).to(device)
    return frozen, tuple(head.to(device) for head in heads)


def _read(path: Path, what: str, use: Callable[[Held], T]) -> T:
    try:
        return use(_content(path))
    except BROKEN as error:
        raise ValueError(f"{path}: expected {what}, found something else ({error})") from error


def _content(path: Path) -> Held:
    held: Held
    if path.suffix == ".ckpt":
        with path.open("rb") as file:
            held = ArraysOnly(file).load()
    elif path.suffix == ".safetensors":
        held = load_file(str(path))
    else:
        held = torch.load(path, map_location="cpu", weights_only=True)
    return held


@torch.no_grad()
def _fill(network: Trunk, held: Held) -> None:
    if "features.0.weight" in held:
        network.load_state_dict({k: v for k, v in held.items() if k.startswith("features.")})
        return
    (layers,) = (part for name, part in held.items() if not name.startswith("NetLinLayer"))
    if len(layers) != len(network.convolutions):
        raise ValueError(f"{len(layers)} convolutions for {len(network.convolutions)}")
    for number, layer in enumerate(network.convolutions):
        answer = layers[f"Conv_{number}"]
        layer.load_state_dict({"weight": to_oihw(answer["kernel"]), "bias": torch.from_numpy(answer["bias"])})


def _heads(trunk: str, held: Held) -> tuple[Tensor, ...]:
    names = range(len(KINDS[trunk].taps))
    if "NetLinLayer_0" in held:
        kernels = [to_oihw(held[f"NetLinLayer_{n}"]["Conv_0"]["kernel"]) for n in names]
    else:
        kernels = [held[f"lin{n}.model.1.weight"] for n in names]
    heads = tuple(rearrange(kernel.float(), "1 c 1 1 -> c") for kernel in kernels)
    widths = tuple(len(head) for head in heads)
    if widths != KINDS[trunk].widths or any(bool((head < 0).any()) for head in heads):
        raise ValueError(f"heads of widths {widths} for {KINDS[trunk].widths}, none of them negative")
    return heads


def to_oihw(kernel: np.ndarray) -> Tensor:
    """Turn a kernel (H, W, C_in, C_out) into one of torch, (C_out, C_in, H, W)."""
    return rearrange(torch.from_numpy(kernel), "h w i o -> o i h w").contiguous()
