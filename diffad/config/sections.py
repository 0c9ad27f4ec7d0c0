"""The sections of a config: schedule, space, augmentation, corruption, post-processing and training."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from diffad.config.choices import AXES
from diffad.config.schema import check_choice, check_range, expect

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
        check_range(self, "schedule", "[1, 10000]", "num_train_timesteps")
        check_range(self, "schedule", "(0, 1)", "beta_start", "beta_end")
        check_choice(self, "schedule", "beta_schedule", *BETA_SCHEDULES)
        check_choice(self, "schedule", "prediction_type", "epsilon", "v_prediction", "sample")


@dataclass(frozen=True)
class PostprocessConfig:
    """How a raw map becomes the final one, a mask and a score.

    Args:
        erosion: Layers peeled off the brain mask, in pixels of the model's grid.
        median: Odd width of the median window, in pixels of the model's grid.
        min_size: Smallest detection that is kept, in voxels of the scan.
        min_mm3: Smallest detection that is kept, in mm3, whatever the voxels of the scan; in voxels where
            nobody says how large these are. Papers count voxels of a grid that scans are brought to before.
        erosion_rule: "cross" peels layer by layer; "average" takes the erosion for a radius, and keeps pixels
            whose square neighbourhood is more than 95 % brain.
        median_first: Smooth before the outside of the eroded mask is zeroed; off smooths after it.
        filled: Count the holes of a detection to its size.
        median_axes: 2 smooths each slice, 3 the stack of the slices of a scan, whatever their distance.
        morphology: Odd width of the square by which a smooth map is eroded, opened and closed, in pixels of
            the model's grid; 1 leaves it.
        pool: How a map becomes one score: "mean", "max" or "topk".
        share: Share of the brain that "topk" averages.
        fpr: Calibrated pixel false-positive rate whose threshold makes the mask.
        normalise: "place" puts maps of volumes in units of the spread of healthy scans at the same place,
            which calibration measures, see ``diffad.inference.healthy``; "none" leaves them.
        clusters: Detections that are dropped from masks at a calibrated threshold, by volume: "few" drops
            those of volumes of which 95 % of healthy heads have at most three above, "clean" those of which
            they have none, "none" drops nothing. See ``diffad.threshold.clusters``.
    """

    erosion: int = 0
    median: int = 5
    min_size: int = 0
    erosion_rule: str = "cross"
    median_first: bool = True
    filled: bool = False
    median_axes: int = 2
    morphology: int = 1
    min_mm3: float = 0.0
    pool: str = "topk"
    share: float = 0.01
    fpr: float = 0.01
    normalise: str = "none"
    clusters: str = "few"

    def __post_init__(self) -> None:
        check_range(self, "postprocess", "[0, 256]", "erosion")
        check_range(self, "postprocess", "[0, 1000000000]", "min_size", "min_mm3")
        for name in ("median", "morphology"):
            width = getattr(self, name)
            check_range(self, "postprocess", "[1, 501]", name)
            expect(width % 2 == 1, f"postprocess.{name}", "an odd width", width)
        expect(self.median_axes in (2, 3), "postprocess.median_axes", "2 or 3", self.median_axes)
        check_choice(self, "postprocess", "erosion_rule", "cross", "average")
        check_choice(self, "postprocess", "pool", "mean", "max", "topk")
        check_choice(self, "postprocess", "normalise", "none", "place")
        check_choice(self, "postprocess", "clusters", "few", "clean", "none")
        check_range(self, "postprocess", "(0, 1]", "share")
        check_range(self, "postprocess", "[0, 1)", "fpr")


@dataclass(frozen=True)
class SpaceConfig:
    """The space the network works in.

    Args:
        size: Side of the square grid of slices, in pixels.
        fov: Side of the square in mm; none makes the longer side of a slice the square's.
        window: Rows and columns around the brain that the network looks at, in pixels of the grid; none for
            all. A brain that does not fit is looked at in the whole grid.
        axis: Plane of the slices, "axial", "coronal" or "sagittal"; "volume" for 3-D networks.
        further_axes: More planes whose slices the network is trained on; it should be told their places then,
            and the size must suit all of them.
        further_windows: Windows of these planes, in their order, as a brain is longest from front to back:
            rows of an axial slice, columns of a sagittal one. None where they have that of the axis.
        neighbours: Slices below and above each slice that a 2-D network is shown beside it, see
            ``diffad.data.neighbours``; its option of the same name must agree.
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
    further_axes: tuple[str, ...] = ()
    further_windows: tuple[tuple[int, int], ...] = ()
    neighbours: int = 0
    intensity: str = "percentile"
    low: float | None = None
    high: float = 99.0
    headroom: float = 0.15
    centre: float = 40.0
    width: float = 80.0

    def __post_init__(self) -> None:
        check_range(self, "space", "[1, 4096]", "size")
        check_range(self, "space", "(0, 100000]", "fov", "width")
        check_choice(self, "space", "axis", *AXES, "volume")
        others = [axis for axis in AXES if axis != self.axis] if self.axis != "volume" else []
        planes = set(self.further_axes)
        suits = planes <= set(others) and len(planes) == len(self.further_axes)
        expect(suits, "space.further_axes", f"some of {others}, each once", list(self.further_axes))
        check_range(self, "space", "[0, 8]", "neighbours")
        is_flat = self.axis != "volume" or not self.neighbours
        expect(is_flat, "space.neighbours", "0 with space.axis=volume", self.neighbours)
        check_choice(self, "space", "intensity", "percentile", "ct")
        check_range(self, "space", "[0, 100]", "low", "high")
        expect((self.low or 0) < self.high, "space.high", f"more than space.low = {self.low}", self.high)
        check_range(self, "space", "[0, 1)", "headroom")
        check_range(self, "space", "[-100000, 100000]", "centre")
        self._check_windows()

    def _check_windows(self) -> None:
        is_flat, sizes = self.axis != "volume", f"slices, and sizes in 1..space.size = {self.size}"
        for key, window in (("window", self.window), *(("further_windows", w) for w in self.further_windows)):
            fits = window is None or (is_flat and 0 < min(window) <= max(window) <= self.size)
            expect(fits, f"space.{key}", sizes, window)
        count = len(self.further_windows)
        suits = not count or (self.window is not None and count == len(self.further_axes))
        further = f"a space.window, and one for each of space.further_axes = {list(self.further_axes)}"
        expect(suits, "space.further_windows", further, [list(w) for w in self.further_windows])

    @property
    def axes(self) -> tuple[str, ...]:
        """All planes that the network is trained on, its own first."""
        return (self.axis, *self.further_axes)

    def as_volume(self) -> SpaceConfig:
        """Return the same intensities for whole volumes."""
        flat_options: dict[str, Any] = {
            "window": None,
            "further_axes": (),
            "further_windows": (),
            "neighbours": 0,
        }
        return replace(self, axis="volume", **flat_options)

    def window_of(self, orientation: int) -> tuple[int, int] | None:
        """Return the window of slices of a plane: 0 sagittal, 1 coronal, 2 axial, else that of the axis."""
        axis = AXES[orientation] if 0 <= orientation < len(AXES) else self.axis
        windows = dict(zip(self.further_axes, self.further_windows, strict=False))
        return windows.get(axis, self.window)


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
        tone: Largest change of an intensity by a random ascending curve, of the range of the images.
        bias: Largest absolute logarithm of a smooth field that the images are multiplied by.
        noise: Largest SD of Rician noise, of the range of the images.
    """

    flip: float = 0.0
    rotate: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    gamma: float = 0.0
    gain: float = 0.0
    blur: float = 0.0
    tone: float = 0.0
    bias: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_range(self, "augment", "[0, 1]", "flip")
        check_range(self, "augment", "[0, 360]", "rotate")
        check_range(self, "augment", "[0, 100]", "shift", "gamma", "blur")
        check_range(self, "augment", "[0, 1)", "scale", "gain")
        check_range(self, "augment", "[0, 0.25]", "tone")
        check_range(self, "augment", "[0, 2]", "bias")
        check_range(self, "augment", "[0, 1]", "noise")


@dataclass(frozen=True)
class CorruptConfig:
    """Synthetic anomalies in training slices.

    Args:
        tasks: Kinds that are trained on, see ``diffad.data.corruptions``; none leaves the slices as they are.
            A kind named twice is drawn twice as often, and "published", "brain" and "any" stand for several.
        held_out: Kinds in validation; none takes those of training.
        chance: Share of the slices that is corrupted.
        role: "condition" shows the network the corrupted slice as its condition, and the healthy one is what
            it must find; "restore" lays the noise over the corrupted slice, and the healthy one is what it
            must find in that; "class" makes corrupted slices the diseased class.
        weight: How many times more the loss counts where a condition is corrupted: a network soon learns to
            copy what it is shown, and late to leave out what is not healthy.
        mark: Weight of the cross-entropy of what a network marks as corrupted, with ``model.marks``.
    """

    tasks: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    chance: float = 0.8
    role: str = "condition"
    weight: float = 1.0
    mark: float = 0.1

    def __post_init__(self) -> None:
        check_range(self, "corrupt", "[0, 1]", "chance")
        check_range(self, "corrupt", "[1, 1000000]", "weight")
        check_range(self, "corrupt", "[0, 1000000]", "mark")
        check_choice(self, "corrupt", "role", "condition", "restore", "class")


@dataclass(frozen=True)
class NetworksConfig:
    """Folders of trained networks that parts of the method ask for, beside the one that denoises.

    Args:
        classifier: Folder that a run of task "classify" made; none for no classifier.
        autoencoder: Folder that a run of task "autoencode" made; none for no autoencoder.
    """

    classifier: str | None = None
    autoencoder: str | None = None


AUXILIARY_NETWORKS = tuple(field.name for field in fields(NetworksConfig))
"""Networks that a pipeline may carry beside the one that denoises."""


@dataclass(frozen=True)
class TrainConfig:
    """The training recipe.

    Args:
        steps: Optimiser steps; 0 makes a pipeline of ``network`` as it is.
        network: Folder of a pipeline or network whose weights are the first; none starts at random.
        batch_size: Items per optimiser step, over all processes and accumulated parts.
        accumulate: Parts a process splits its share into.
        lr: Highest learning rate, reached after ``warmup`` steps and lowered to ``min_lr`` by a cosine.
        clip_norm: Largest norm of the gradient; none leaves it as it is.
        levels: Lowest and highest level trained on, drawn uniformly; a classifier may also see clean images,
            level 0.
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
        allow_changes: Let a resumed run go on with another seed, data, batch size, network, noise, space or
            objective than before, though its loss curve has a break there.
    """

    steps: int = 20000
    network: str | None = None
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
    calibrate_fpr: tuple[float, ...] = (0.001, 0.005, 0.01, 0.02, 0.05)
    allow_changes: bool = False

    def __post_init__(self) -> None:
        check_range(self, "train", "[1, 65536]", "batch_size", "accumulate", "keep_checkpoints")
        check_range(self, "train", "[1, 1000000000]" if self.network is None else "[0, 1000000000]", "steps")
        check_range(self, "train", "[1, 1000000000]", "validate_every", "checkpoint_every")
        check_range(self, "train", "[1, 100000]", "validate_items", "validate_levels")
        check_range(self, "train", "(0, 1000]", "lr")
        check_range(self, "train", "(0, 1000000000]", "clip_norm", "snr_gamma")
        check_range(self, "train", "[0, 1000]", "min_lr", "weight_decay")
        check_range(self, "train", "[0, 1000000000]", "warmup")
        check_range(self, "train", "[0, 256]", "workers")
        check_range(self, "train", "[0, 1)", "ema_decay")
        check_choice(self, "train", "loss", "l1", "l2")
        check_choice(self, "train", "mixed_precision", "no", "bf16", "fp16")
        check_choice(self, "train", "device", "auto", "cpu")
        expect(0 <= self.levels[0] <= self.levels[1], "train.levels", "1 <= lowest <= highest", self.levels)
        rates = all(0 <= rate < 1 for rate in self.calibrate_fpr)
        expect(rates, "train.calibrate_fpr", "rates in [0, 1)", self.calibrate_fpr)
