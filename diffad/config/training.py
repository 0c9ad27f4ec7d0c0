"""The sections of a config about the training, and the networks that it takes from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from diffad.config.schema import check_choice, check_range, expect


@dataclass(frozen=True)
class NetworksConfig:
    """Folders of trained networks that parts of the method ask for, beside the one that denoises.

    Args:
        classifier: Folder that a run of task "classify" made; none for no classifier.
        autoencoder: Folder that a run of task "autoencode" made; none for no autoencoder.
        codec: Folder that a run of task "compress" made, for ``space.code: latent``; none for no codec.
        references: Folder of a network "references", healthy images that scans are compared with; none keeps
            some of the training data, where the score asks for them.
    """

    classifier: str | None = None
    autoencoder: str | None = None
    codec: str | None = None
    references: str | None = None


AUXILIARY_NETWORKS = tuple(field.name for field in fields(NetworksConfig))
"""Networks that a pipeline may carry beside the one that denoises."""


@dataclass(frozen=True)
class TrainConfig:
    """The training recipe.

    Args:
        steps: Optimiser steps; 0 makes a pipeline of ``network`` as it is.
        network: Folder of a pipeline or network, or name of a shipped model, whose weights are the first;
            none starts at random.
        batch_size: Items per optimiser step, over all processes and accumulated parts.
        accumulate: Parts a process splits its share into.
        lr: Highest learning rate, reached after ``warmup`` steps and lowered to ``min_lr`` by a cosine.
        betas: Decays of the averages of the gradient and of its square; adversaries ask for a low first one.
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
        teacher: Folder of a network whose own way back is what is learned, see
            ``diffad.training.reflow``; none learns from the scans.
        teacher_steps: Moves of that way.
        class_weights: Weight of the loss of each class of a classifier, class 0 first; none weighs all alike.
        kl: Weight of the divergence of latents from a normal distribution, in the task "compress".
        commitment: Weight of what keeps latents near the codebook, in the task "compress", if there is one.
        auxiliary: Weights of further losses by name, see ``diffad.training.auxiliary``.
        teacher_rule: "path" learns the way from the far end of straight paths, of flows; "state" the way from
            the state itself, to make it in one look; "consistency" one move of it, and then what the averaged
            student says.
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
    betas: tuple[float, float] = (0.9, 0.999)
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
    teacher: str | None = None
    teacher_steps: int = 5
    class_weights: tuple[float, ...] | None = None
    kl: float = 1e-6
    commitment: float = 0.25
    auxiliary: dict[str, float] = field(default_factory=dict)
    teacher_rule: str = "path"
    calibrate_fpr: tuple[float, ...] = (0.001, 0.005, 0.01, 0.02, 0.05)
    allow_changes: bool = False

    def __post_init__(self) -> None:
        check_range(self, "train", "[1, 65536]", "batch_size", "accumulate", "keep_checkpoints")
        check_range(self, "train", "[1, 1000000000]" if self.network is None else "[0, 1000000000]", "steps")
        check_range(self, "train", "[1, 1000000000]", "validate_every", "checkpoint_every")
        check_range(self, "train", "[1, 100000]", "validate_items", "validate_levels")
        check_range(self, "train", "(0, 1000]", "lr")
        check_range(self, "train", "(0, 1000000000]", "clip_norm", "snr_gamma")
        check_range(self, "train", "[0, 1000]", "min_lr", "weight_decay", "kl", "commitment")
        for name, weight in self.auxiliary.items():
            expect(0 <= weight <= 1e6, f"train.auxiliary.{name}", "a weight in [0, 1000000]", weight)
        check_range(self, "train", "[0, 1000000000]", "warmup")
        check_range(self, "train", "[0, 256]", "workers")
        check_range(self, "train", "[1, 1000]", "teacher_steps")
        check_range(self, "train", "[0, 1)", "ema_decay")
        check_choice(self, "train", "loss", "l1", "l2")
        check_choice(self, "train", "mixed_precision", "no", "bf16", "fp16")
        check_choice(self, "train", "device", "auto", "cpu")
        check_choice(self, "train", "teacher_rule", "path", "state", "consistency")
        expect(0 <= self.levels[0] <= self.levels[1], "train.levels", "1 <= lowest <= highest", self.levels)
        betas = all(0 <= beta < 1 for beta in self.betas)
        expect(betas, "train.betas", "two decays in [0, 1)", self.betas)
        weights = self.class_weights
        are_weights = weights is None or (len(weights) > 1 and all(0 < w < float("inf") for w in weights))
        expect(are_weights, "train.class_weights", "a number above 0 for each of the classes", weights)
        rates = all(0 <= rate < 1 for rate in self.calibrate_fpr)
        expect(rates, "train.calibrate_fpr", "rates in [0, 1)", self.calibrate_fpr)
