"""What a run trains its network to do: denoise, detect, classify, autoencode or compress."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from diffad.config import Config
from diffad.data.items import Dataset
from diffad.denoise import learns_variance, rebuild_weight
from diffad.models.autoencoder_vq import AutoencoderVQ
from diffad.registry import MODELS
from diffad.training.autoencoding import Autoencoding
from diffad.training.batch import Batch, condition_kwargs
from diffad.training.classifying import Classifying
from diffad.training.compressing import Compressing
from diffad.training.detecting import Detecting
from diffad.training.example import make_batch_example
from diffad.training.export import export_pipeline
from diffad.training.loss import denoising_loss
from diffad.training.quantising import Quantising
from diffad.training.state import NetworkRun
from diffad.training.validate import ValidationExamples, draw_validation_examples, save_estimates, validate


class Objective(Protocol):
    """What a run minimises, validates and leaves behind."""

    def loss(self, trainer: NetworkRun, batch: Batch, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the loss of each item, (B,); generator i is for item i."""
        ...

    def draw_validation_batch(self, trainer: NetworkRun, data: Dataset) -> Any:
        """Draw what validation looks at, the same every time."""
        ...

    def validate(self, trainer: NetworkRun, validation_batch: Any, picture: Path) -> dict[str, float]:
        """Validate the averaged network and save a picture of what it does."""
        ...

    def export(self, trainer: NetworkRun, data: Dataset) -> Path:
        """Write what the run leaves behind, measured on held-out ``data``; return its folder."""
        ...


class Denoising:
    """Trains a network to find the clean image in a noisy one.

    Reference:
        Denoising Diffusion Probabilistic Models (Ho et al., 2020), algorithm 1.
    """

    def loss(self, trainer: NetworkRun, batch: Batch, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the loss of each item, (B,); generator i is for item i."""
        config, device = trainer.config, batch.image.device
        low, high = config.train.levels
        t = torch.stack([torch.randint(low, high + 1, (), generator=g) for g in generators]).to(device)
        parts = (trainer.noise, trainer.schedule, generators)
        example = make_batch_example(trainer.sampler, batch, t, *parts, trainer.coding, is_drawn=True)
        t = t if example.level is None else example.level.to(device)
        if trainer.teacher is not None:
            example = trainer.teacher.replace_target(example, t, trainer.refresh_ema_network)
        recipe = (config.schedule.prediction_type, config.train.loss, config.train.snr_gamma)
        cond = condition_kwargs(trainer.ema_network, example)
        loss = (trainer.network, example, t, trainer.schedule, *recipe, cond)
        weights = (config.corrupt.mark, config.train.auxiliary)
        facts = (learns_variance(trainer.ema_network), rebuild_weight(trainer.ema_network))
        return denoising_loss(*loss, *weights, *facts)

    def draw_validation_batch(self, trainer: NetworkRun, data: Dataset) -> ValidationExamples:
        """Draw what validation looks at, the same every time."""
        parts = (trainer.noise, trainer.sampler, trainer.schedule, trainer.config, trainer.pool)
        return draw_validation_examples(data, *parts, trainer.coding)

    def validate(
        self, trainer: NetworkRun, validation_batch: ValidationExamples, picture: Path
    ) -> dict[str, float]:
        """Validate the averaged network and save a picture of what it does."""
        network, schedule, config = trainer.refresh_ema_network(), trainer.schedule, trainer.config
        prediction = config.schedule.prediction_type
        save_estimates(network, validation_batch, schedule, picture, prediction, trainer.coding)
        return validate(network, validation_batch, schedule, config)

    def export(self, trainer: NetworkRun, data: Dataset) -> Path:
        """Write the pipeline, calibrated on ``data``; return its folder."""
        return export_pipeline(trainer, data)


def make_objective(config: Config) -> Objective:
    """Return the objective that a config names as its task."""
    tasks: dict[str, Objective] = {
        "denoise": Denoising(),
        "detect": Detecting(),
        "classify": Classifying(),
        "autoencode": Autoencoding(),
        "compress": Quantising() if _has_codebook(config) else Compressing(),
    }
    return tasks[config.task]


def _has_codebook(config: Config) -> bool:
    name = config.model["name"]
    if name not in MODELS:
        return False
    kind = MODELS[name]
    return isinstance(kind, type) and issubclass(kind, AutoencoderVQ)
