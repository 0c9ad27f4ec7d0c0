"""What a run trains its network to do: denoise, classify or autoencode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from diffad.config import Config
from diffad.data.items import Dataset
from diffad.data.space import to_model
from diffad.samplers import examples
from diffad.training.autoencoding import Autoencoding
from diffad.training.batch import Batch
from diffad.training.classifying import Classifying
from diffad.training.example import condition_kwargs
from diffad.training.export import export
from diffad.training.loss import denoising_loss
from diffad.training.validate import FixedTask, fixed_task, sample_picture, validate


class Objective(Protocol):
    """What is minimised, looked at and left behind by a run."""

    def loss(self, trainer: Any, batch: Batch, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the loss of each item, (B,); generator i is for item i."""
        ...

    def fixed(self, trainer: Any, data: Dataset) -> Any:
        """Draw what validation looks at, the same every time."""
        ...

    def look(self, trainer: Any, fixed: Any, picture: Path) -> dict[str, float]:
        """Validate the averaged network and save a picture of what it does."""
        ...

    def export(self, trainer: Any, data: Dataset) -> Path:
        """Write what the run leaves behind, measured on held-out ``data``; return its folder."""
        ...


class Denoising:
    """Trains a network to find the clean image in a noisy one.

    Reference:
        Denoising Diffusion Probabilistic Models (Ho et al., 2020), algorithm 1.
    """

    def loss(self, trainer: Any, batch: Batch, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the loss of each item, (B,); generator i is for item i."""
        config, device = trainer.config, batch.image.device
        low, high = config.train.levels
        t = torch.stack([torch.randint(low, high + 1, (), generator=g) for g in generators]).to(device)
        seen = (batch.brain, t, trainer.noise, trainer.schedule, generators)
        example = examples.make_example(trainer.sampler, to_model(batch.image), *seen)
        example = replace(example, told=batch.told, label=batch.label)
        if batch.weight is not None:
            region = batch.weight if example.region is None else batch.weight * example.region
            example = replace(example, region=region)
        args = (trainer.schedule, config.schedule.prediction_type, config.train.loss, config.train.snr_gamma)
        return denoising_loss(trainer.network, example, t, *args, condition_kwargs(trainer.average, example))

    def fixed(self, trainer: Any, data: Dataset) -> FixedTask:
        """Draw what validation looks at, the same every time."""
        parts = (trainer.noise, trainer.sampler, trainer.schedule, trainer.config, trainer.pool)
        return fixed_task(data, *parts)

    def look(self, trainer: Any, fixed: FixedTask, picture: Path) -> dict[str, float]:
        """Validate the averaged network and save a picture of what it does."""
        network, schedule = trainer.averaged(), trainer.schedule
        sample_picture(network, fixed, schedule, picture, trainer.config.schedule.prediction_type)
        return validate(network, fixed, schedule, trainer.config)

    def export(self, trainer: Any, data: Dataset) -> Path:
        """Write the pipeline, calibrated on ``data``; return its folder."""
        return export(trainer, data)


def objective_for(config: Config) -> Objective:
    """Return the objective that a config names as its task."""
    tasks: dict[str, Objective] = {
        "denoise": Denoising(),
        "classify": Classifying(),
        "autoencode": Autoencoding(),
    }
    return tasks[config.task]
