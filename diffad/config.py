"""One experiment as frozen dataclasses: which parts, on which data, trained how."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from diffad.plain import ConfigError as ConfigError
from diffad.plain import PartSpec as PartSpec
from diffad.plain import expect, in_range, one_of, override, read_yaml, varied
from diffad.plain import from_dict as from_dict
from diffad.plain import to_dict as to_dict

BETA_SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid")


@dataclass(frozen=True)
class ScheduleConfig:
    """Options of the diffusers scheduler that is saved with the model."""

    num_train_timesteps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 0.02
    beta_schedule: str = "linear"
    prediction_type: str = "epsilon"

    def __post_init__(self) -> None:
        in_range(self, "schedule", "[1, inf)", "num_train_timesteps")
        in_range(self, "schedule", "(0, 1)", "beta_start", "beta_end")
        one_of(self, "schedule", "beta_schedule", *BETA_SCHEDULES)
        one_of(self, "schedule", "prediction_type", "epsilon", "v_prediction", "sample")


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

    def __post_init__(self) -> None:
        in_range(self, "postprocess", "[0, inf)", "erosion", "min_size")
        expect(self.median % 2 == 1 and self.median > 0, "postprocess.median", "an odd width", self.median)
        one_of(self, "postprocess", "pool", "mean", "max", "topk")
        in_range(self, "postprocess", "(0, 1]", "share")
        in_range(self, "postprocess", "[0, 1)", "fpr")


@dataclass(frozen=True)
class SpaceConfig:
    """The space the network works in.

    Args:
        size: Side of the square grid of slices, in pixels.
        fov: Side of the square in mm; none makes the longer side of a slice the square's.
        window: Rows and columns around the brain that the network looks at, in pixels of the grid; none for
            all. A brain that does not fit is looked at in the whole grid.
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
    window: tuple[int, int] | None = None
    axis: str = "axial"
    intensity: str = "percentile"
    low: float | None = None
    high: float = 99.0
    headroom: float = 0.15
    centre: float = 40.0
    width: float = 80.0

    def __post_init__(self) -> None:
        in_range(self, "space", "[1, inf)", "size")
        in_range(self, "space", "(0, inf)", "fov", "width")
        one_of(self, "space", "axis", "axial", "coronal", "sagittal", "volume")
        one_of(self, "space", "intensity", "percentile", "ct")
        in_range(self, "space", "[0, 100]", "low", "high")
        expect((self.low or 0) < self.high, "space.high", f"more than space.low = {self.low}", self.high)
        in_range(self, "space", "[0, 1)", "headroom")
        expect(math.isfinite(self.centre), "space.centre", "a finite number", self.centre)
        flat, window = self.axis != "volume", self.window
        fits = window is None or (flat and 0 < min(window) <= max(window) <= self.size)
        expect(fits, "space.window", f"slices, and sizes in 1..space.size = {self.size}", window)


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
        blur: Largest SD of a Gaussian blur, in pixels.
    """

    flip: float = 0.0
    rotate: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    gamma: float = 0.0
    gain: float = 0.0
    blur: float = 0.0

    def __post_init__(self) -> None:
        in_range(self, "augment", "[0, 1]", "flip")
        in_range(self, "augment", "[0, inf)", "rotate", "shift", "gamma", "blur")
        in_range(self, "augment", "[0, 1)", "scale", "gain")


@dataclass(frozen=True)
class TrainConfig:
    """The training recipe.

    Args:
        steps: Optimiser steps.
        batch_size: Items per optimiser step, over all processes and accumulated parts.
        accumulate: Parts a process splits its share into.
        lr: Highest learning rate, reached after ``warmup`` steps and lowered to ``min_lr`` by a cosine.
        clip_norm: Largest norm of the gradient; none leaves it as it is.
        levels: Lowest and highest level trained on, drawn uniformly.
        loss: "l1" or "l2" on what the network predicts.
        snr_gamma: Cap of the min-SNR weight (Hang et al., 2023); none for plain loss.
        ema_decay: Highest decay of the average of the weights, which is what gets exported.
        mixed_precision: "no", "bf16" or "fp16".
        channels_last: Lay convolution weights out channels last, which some devices prefer.
        device: "auto" or "cpu".
        workers: Processes that load data; 0 loads in the training process.
        keep_checkpoints: How many of the newest checkpoints stay on disk.
        encoder: Folder of a pretrained encoder that a conditioned network starts from; none starts at random.
        calibrate_fpr: Pixel false-positive rates whose thresholds are measured on the validation scans.
    """

    steps: int = 20000
    batch_size: int = 16
    accumulate: int = 1
    lr: float = 1e-4
    warmup: int = 500
    min_lr: float = 0.0
    weight_decay: float = 0.01
    clip_norm: float | None = 1.0
    levels: tuple[int, int] = (1, 1000)
    loss: str = "l2"
    snr_gamma: float | None = None
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
    encoder: str | None = None
    calibrate_fpr: tuple[float, ...] = (0.01, 0.02, 0.05)

    def __post_init__(self) -> None:
        in_range(self, "train", "[1, inf)", "steps", "batch_size", "accumulate", "keep_checkpoints")
        in_range(self, "train", "[1, inf)", "validate_every", "validate_items", "validate_levels")
        in_range(self, "train", "[1, inf)", "checkpoint_every")
        in_range(self, "train", "(0, inf)", "lr", "clip_norm", "snr_gamma")
        in_range(self, "train", "[0, inf)", "warmup", "min_lr", "weight_decay", "workers")
        in_range(self, "train", "[0, 1)", "ema_decay")
        one_of(self, "train", "loss", "l1", "l2")
        one_of(self, "train", "mixed_precision", "no", "bf16", "fp16")
        one_of(self, "train", "device", "auto", "cpu")
        expect(1 <= self.levels[0] <= self.levels[1], "train.levels", "1 <= lowest <= highest", self.levels)
        rates = all(0 <= rate < 1 for rate in self.calibrate_fpr)
        expect(rates, "train.calibrate_fpr", "rates in [0, 1)", self.calibrate_fpr)


@dataclass(frozen=True)
class Config:
    """One experiment: which parts, on which data, trained how.

    Args:
        noise: Noise the network is trained with.
        sampling_noise: Noise at test, where it is another.
    """

    name: str
    data: PartSpec
    model: PartSpec
    noise: PartSpec
    sampler: PartSpec
    sampling_noise: PartSpec | None = None
    score: PartSpec = field(default_factory=lambda: {"name": "l1"})
    guidance: PartSpec | None = None
    schedule: ScheduleConfig = ScheduleConfig()
    space: SpaceConfig = SpaceConfig()
    augment: AugmentConfig = AugmentConfig()
    postprocess: PostprocessConfig = PostprocessConfig()
    train: TrainConfig = TrainConfig()
    seed: int = 0
    output: str = "runs"

    def __post_init__(self) -> None:
        plain = Path(self.name).name == self.name not in ("", ".", "..")
        expect(plain, "name", "a plain name, as a folder of the run is named so", self.name)
        top, levels = self.schedule.num_train_timesteps, self.train.levels
        expect(levels[1] <= top, "train.levels", f"levels of the schedule, 1..{top}", levels)
        expect(self.seed >= 0, "seed", "a number of at least 0", self.seed)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists and scalars."""
        return to_dict(self)


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
    ours = path.suffix in ("", ".yaml") and str(path.parent) in (".", "configs") and path.stem in shipped()
    if not path.is_file() and ours:
        path = Path(str(resources.files("diffad.configs") / f"{path.stem}.yaml"))
    if not path.is_file():
        raise ConfigError(f"{source}: no such file; shipped configs: {', '.join(shipped())}")
    return from_dict(Config, override(*varied(read_yaml(path), assignments, str(path))))
