"""Experiments as frozen dataclasses <-> dict <-> YAML; a typo is an error with a suggestion."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml

from diffad.registry import unknown

T = TypeVar("T")
PartSpec = dict[str, Any]
"""A part by name with its options: ``{"name": "simplex", "octaves": 6}``."""


class ConfigError(ValueError):
    """A configuration that cannot be used; the message says which key."""


@dataclass(frozen=True)
class ScheduleConfig:
    """Options of the diffusers scheduler that is saved with the model."""

    num_train_timesteps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 0.02
    beta_schedule: str = "linear"
    prediction_type: str = "epsilon"


@dataclass(frozen=True)
class PostprocessConfig:
    """How a raw map becomes the final one, a mask and a score.

    Args:
        erosion: Layers peeled off the brain mask, in pixels of the model's grid.
        median: Odd width of the median window, in pixels of the model's grid.
        min_size: Smallest detection that is kept, in voxels of the scan.
        pool: How a map becomes one score: "mean", "max" or "topk".
        share: Share of the brain that "topk" averages.
        fpr: Calibrated pixel false-positive rate whose threshold makes the mask.
    """

    erosion: int = 0
    median: int = 5
    min_size: int = 0
    pool: str = "topk"
    share: float = 0.01
    fpr: float = 0.01


@dataclass(frozen=True)
class SpaceConfig:
    """The space the network works in.

    Args:
        size: Side of the square grid of slices, in pixels.
        fov: Side of the square in mm; none makes the longer side of a slice the square's.
        axis: Plane of the slices, "axial", "coronal" or "sagittal"; "volume" for 3-D networks.
        intensity: "percentile" (MRI) or "ct" (window in HU).
        low: Percentile inside the mask that becomes 0; none keeps the zero of the scan.
        high: Percentile inside the mask that becomes 1 - headroom.
        headroom: Share of the range kept for what is brighter than healthy tissue.
        centre: Centre of the CT window, in HU.
        width: Width of the CT window, in HU.
    """

    size: int = 128
    fov: float | None = None
    axis: str = "axial"
    intensity: str = "percentile"
    low: float | None = None
    high: float = 99.0
    headroom: float = 0.15
    centre: float = 40.0
    width: float = 80.0


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes to training slices; zero switches one off.

    Args:
        flip: Chance of a left-right flip.
        rotate: Largest rotation, in degrees.
        shift: Largest shift, as a share of the side.
        scale: Largest relative change of size.
        gamma: Largest absolute log2 of the exponent intensities are raised to.
        gain: Largest relative change of the intensity scale.
    """

    flip: float = 0.0
    rotate: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    gamma: float = 0.0
    gain: float = 0.0


@dataclass(frozen=True)
class TrainConfig:
    """The training recipe.

    Args:
        steps: Optimiser steps.
        batch_size: Items per optimiser step, over all processes and accumulated parts.
        accumulate: Parts a process splits its share into.
        levels: Lowest and highest level trained on, drawn uniformly.
        loss: "l1" or "l2" on what the network predicts.
        snr_gamma: Cap of the min-SNR weight (Hang et al., 2023); none for plain loss.
        crop: Centre crop (rows, columns) trained on until ``crop_until`` of all steps; none for whole slices.
        mixed_precision: "no", "bf16" or "fp16".
        device: "auto" or "cpu".
        calibrate_fpr: Pixel false-positive rates whose thresholds are measured on the validation scans.
    """

    steps: int = 20000
    batch_size: int = 16
    accumulate: int = 1
    lr: float = 1e-4
    warmup: int = 500
    min_lr: float = 0.0
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    levels: tuple[int, int] = (1, 1000)
    loss: str = "l2"
    snr_gamma: float | None = None
    crop: tuple[int, int] | None = None
    crop_until: float = 0.0
    ema_decay: float = 0.9999
    mixed_precision: str = "no"
    channels_last: bool = False
    device: str = "auto"
    workers: int = 0
    validate_every: int = 500
    validate_items: int = 32
    validate_levels: int = 8
    checkpoint_every: int = 500
    keep_checkpoints: int = 2
    calibrate_fpr: tuple[float, ...] = (0.01, 0.02, 0.05)


@dataclass(frozen=True)
class Config:
    """One experiment: which parts, on which data, trained how."""

    name: str
    data: PartSpec
    model: PartSpec
    noise: PartSpec
    sampler: PartSpec
    score: PartSpec = field(default_factory=lambda: {"name": "l1"})
    guidance: PartSpec | None = None
    schedule: ScheduleConfig = ScheduleConfig()
    space: SpaceConfig = SpaceConfig()
    augment: AugmentConfig = AugmentConfig()
    postprocess: PostprocessConfig = PostprocessConfig()
    train: TrainConfig = TrainConfig()
    seed: int = 0
    output: str = "runs"

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists and scalars."""
        return to_dict(self)


def to_dict(config: Any) -> dict[str, Any]:
    """Turn a dataclass into plain dicts and lists, as YAML and JSON hold them."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in _flat(config)}


def _flat(config: Any) -> list[tuple[str, Any]]:
    pairs = [(f.name, getattr(config, f.name)) for f in dataclasses.fields(config)]
    return [(k, to_dict(v) if dataclasses.is_dataclass(v) else v) for k, v in pairs]


def from_dict(kind: type[T], values: dict[str, Any], path: str = "") -> T:
    """Build the dataclass ``kind`` from plain values.

    Raises:
        ConfigError: If a key is unknown or missing, or a value has the wrong type.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{path or 'the config'}: expected a mapping, got {values!r}")
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise ConfigError(str(unknown("config key", f"{path}{key}", [f"{path}{k}" for k in fields])))
    for key, f in fields.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and key not in values:
            raise ConfigError(f"config key {path}{key!s} is missing")
    return kind(**{k: _convert(hints[k], v, f"{path}{k}") for k, v in values.items()})


def _convert(hint: Any, value: Any, path: str) -> Any:
    """Check ``value`` against a type hint, turning lists into tuples and ints into floats."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in args:
            return None
        return _convert(next(a for a in args if a is not type(None)), value, path)
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type[Any], hint), value, f"{path}.")
    if origin is tuple:
        return _convert_tuple(args, value, path)
    if origin is dict:
        return _convert_part(value, path)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise ConfigError(f"config key {path}: expected {hint.__name__}, got {value!r}")
    return value


def _convert_tuple(args: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"config key {path}: expected a list, got {value!r}")
    if args[-1] is not Ellipsis and len(value) != len(args):
        raise ConfigError(f"config key {path}: expected {len(args)} values, got {value!r}")
    return tuple(_convert(args[0], v, path) for v in value)


def _convert_part(value: Any, path: str) -> PartSpec:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise ConfigError(f"config key {path}: expected a mapping with a 'name', got {value!r}")
    return value


def override(values: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Return ``values`` with dotted ``key=value`` assignments laid over, values read as YAML.

    Raises:
        ConfigError: If an assignment has no ``=`` or walks into a scalar.
    """
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise ConfigError(f"expected key=value, got {assignment!r}")
        values = _assign(values, key.split("."), yaml.safe_load(text) if text else None, key)
    return values


def _assign(values: Any, keys: list[str], value: Any, whole: str) -> dict[str, Any]:
    if values is not None and not isinstance(values, dict):
        raise ConfigError(f"cannot set {whole}: {values!r} is not a mapping")
    head, rest = keys[0], keys[1:]
    inner = _assign((values or {}).get(head), rest, value, whole) if rest else value
    return {**(values or {}), head: inner}


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        ConfigError: If the file is missing or is not a YAML mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: expected YAML ({error})") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a YAML mapping, got {type(values).__name__}")
    return values


def shipped() -> list[str]:
    """Return the names of the configs that come with the package."""
    folder = resources.files("diffad.configs")
    return sorted(Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".yaml"))


def load(source: str | Path, assignments: Sequence[str] = ()) -> Config:
    """Load a config file, or one shipped with the package by its name, with overrides.

    Raises:
        ConfigError: If it cannot be found, read or understood.
    """
    path = Path(source)
    if not path.exists() and path.stem in shipped() and str(path.parent) in (".", "configs"):
        path = Path(str(resources.files("diffad.configs") / f"{path.stem}.yaml"))
    if not path.exists():
        raise ConfigError(f"{source}: no such file; shipped configs: {', '.join(shipped())}")
    return from_dict(Config, override(read_yaml(path), assignments))
