"""The sections of a config about how training images vary: augmentation and corruption."""

from __future__ import annotations

from dataclasses import dataclass

from diffad.config.schema import check_choice, check_range


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
            must find in that; "source" makes the corrupted slice the far end of a straight path or of cold
            diffusion, in the place of noise; "severity" shows it as it is, and tells how strongly it was
            corrupted as the level of cold diffusion; "class" makes corrupted slices the diseased class.
        weight: How many times more the loss counts where a condition is corrupted: a network soon learns to
            copy what it is shown, and late to leave out what is not healthy.
        mark: Weight of the cross-entropy of what a network marks as corrupted, with ``model.marks``.
        full: Corrupt as strongly as each kind can, where it has a strength: the far end of cold diffusion.
        codes: Corrupt the codes of slices in place of the slices, with ``space.code`` and role "restore" or
            "source"; only kinds that read no intensities can.
    """

    tasks: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    chance: float = 0.8
    role: str = "condition"
    weight: float = 1.0
    mark: float = 0.1
    full: bool = False
    codes: bool = False

    def __post_init__(self) -> None:
        check_range(self, "corrupt", "[0, 1]", "chance")
        check_range(self, "corrupt", "[1, 1000000]", "weight")
        check_range(self, "corrupt", "[0, 1000000]", "mark")
        check_choice(self, "corrupt", "role", "condition", "restore", "source", "severity", "class")
