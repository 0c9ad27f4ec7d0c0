"""Training of a classifier that tells noisy healthy scans from noisy diseased ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import reduce, repeat
from torch import Tensor

from diffad.config import Config, ConfigError
from diffad.data.items import Dataset
from diffad.data.space import to_model
from diffad.denoise import call_network
from diffad.training.batch import Batch
from diffad.training.export import export_network
from diffad.training.state import NetworkRun
from diffad.training.validate import draw_validation_images
from diffad.types import generator_for


@dataclass(frozen=True)
class NoisedBatch:
    """Validation scans at every level that is looked at.

    Args:
        levels: Levels, (L,).
        x_t: Noisy scans, (L, B, C, *S).
        label: 0 healthy, 1 diseased, (B,).
    """

    levels: list[int]
    x_t: Tensor
    label: Tensor


class Classifying:
    r"""Trains a classifier of noisy scans by cross-entropy, of classes that may weigh differently.

    .. math:: L = -w_y \log p_\phi(y \mid x_t, t), \quad t \sim U\{t_{min}, \dots, t_{max}\}

    Labels are those of the data, or come from the corruptions of role "class". The accuracy of every level
    is logged: above the level where it is that of chance, guidance by the classifier only adds noise.

    Reference:
        Diffusion Models for Medical Anomaly Detection (Wolleb et al., MICCAI 2022), section 2.
    """

    def loss(self, trainer: NetworkRun, batch: Batch, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the cross-entropy of each item, (B,); generator i is for item i."""
        low, high = trainer.config.train.levels
        device = batch.image.device
        t = torch.stack([torch.randint(low, high + 1, (), generator=g) for g in generators]).to(device)
        images, label = pair_items(batch)
        codes = trainer.coding.encode(to_model(images))
        z = trainer.noise(codes[: len(t)], t, generator=list(generators))
        k = len(images) // len(t)
        t, z = repeat(t, "b -> (k b)", k=k), repeat(z, "b ... -> (k b) ...", k=k)
        x_t = trainer.schedule.add_noise(codes, z, t)
        logits = call_network(trainer.network, x_t, t).float()
        weight = weigh_classes(trainer.config, logits)
        losses = F.cross_entropy(logits, label, weight=weight, reduction="none")
        return reduce(losses, "(k b) -> b", "mean", k=k)

    def draw_validation_batch(self, trainer: NetworkRun, data: Dataset) -> NoisedBatch:
        """Draw held-out scans of both classes, with noise of every level that is looked at."""
        config = trainer.config
        count = min(config.train.validate_items, len(data))
        images, label = pair_items(draw_validation_images(data, config, count, trainer.pool))
        counts = count_labels(label)
        if min(counts) == 0:
            found = f"{counts[0]} healthy and {counts[1]} diseased"
            raise ConfigError(f"config key data: expected both classes in validation, found {found}")
        x, levels, states = trainer.coding.encode(to_model(images)), list_validation_levels(config), []
        for t in levels:
            generators = [generator_for(config.seed, 1, i, t) for i in range(len(x))]
            z = trainer.noise(x, torch.tensor(t), generator=generators)
            states.append(trainer.schedule.add_noise(x, z, t))
        return NoisedBatch(levels, torch.stack(states), label)

    @torch.no_grad()
    def validate(self, trainer: NetworkRun, validation_batch: NoisedBatch, picture: Path) -> dict[str, float]:
        """Return loss and accuracy of the averaged network, the latter per level too; there is no picture."""
        network, size = trainer.refresh_ema_network(), trainer.config.train.batch_size
        label, losses, accuracies = validation_batch.label, [], {}
        for t, x_t in zip(validation_batch.levels, validation_batch.x_t, strict=True):
            level, chunks = torch.tensor(t), torch.split(x_t.to(trainer.device), size)
            logits = torch.cat([call_network(network, chunk, level) for chunk in chunks]).float().cpu()
            losses.append(float(F.cross_entropy(logits, label)))
            accuracies[f"val_accuracy_{t}"] = float((logits.argmax(1) == label).float().mean())
        accuracy = sum(accuracies.values()) / len(accuracies)
        return {"val_loss": sum(losses) / len(losses), "val_accuracy": accuracy} | accuracies

    def export(self, trainer: NetworkRun, data: Dataset) -> Path:
        """Write the network with its accuracy per level; return its folder."""
        report = self.validate(trainer, self.draw_validation_batch(trainer, data), Path())
        return export_network(trainer, report)


def pair_items(batch: Batch) -> tuple[Tensor, Tensor]:
    """Return images and labels, corrupted slices with themselves before: pairs tell sooner what matters.

    Returns:
        Images in [0, 1] and labels of a stack "(k b)", where k is 1 without corruptions and 2 with them.
    """
    label = check_labels(batch.label)
    if batch.original is None:
        return batch.image, label
    return torch.cat([batch.image, batch.original]), torch.cat([label, torch.zeros_like(label)])


def weigh_classes(config: Config, logits: Tensor) -> Tensor | None:
    """Return the weights of the classes of ``logits`` (B, K), or none.

    Raises:
        ConfigError: If there are not as many as classes.
    """
    weights = config.train.class_weights
    if weights is not None and len(weights) != logits.shape[1]:
        raise ConfigError(
            f"config key train.class_weights: expected {logits.shape[1]} weights, one for each class of the "
            f"network, found {len(weights)}"
        )
    return None if weights is None else torch.tensor(weights).to(logits)


def list_validation_levels(config: Config) -> list[int]:
    """Return the levels that validation looks at, each once."""
    low, high = config.train.levels
    return sorted(set(torch.linspace(low, high, config.train.validate_levels).long().tolist()))


def count_labels(label: Tensor) -> tuple[int, int]:
    """Count healthy and diseased items."""
    return int((label == 0).sum()), int((label == 1).sum())


def check_labels(label: Tensor) -> Tensor:
    """Return labels that are all known.

    Raises:
        ConfigError: If one is not.
    """
    if missing := int((label < 0).sum()):
        raise ConfigError(
            f"config key data: expected a label for each scan, found none for {missing} of the {len(label)} "
            "scans of a batch; give data.labels, or corrupt.tasks with corrupt.role=class"
        )
    return label
