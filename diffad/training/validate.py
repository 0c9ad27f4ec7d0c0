"""Validation on fixed items, levels and noise, so that two numbers differ only because the network does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffad.config import Config
from diffad.data.items import Dataset
from diffad.data.space import to_model, to_public
from diffad.data.window import focused
from diffad.denoise import NetworkDenoiser
from diffad.protocols import NoiseGenerator
from diffad.schedule import Schedule
from diffad.training.loss import denoising_loss
from diffad.types import generator_for


@dataclass(frozen=True)
class FixedTask:
    """A batch that never changes.

    Args:
        x: Clean images in [-1, 1], (B, C, *S).
        z: Noise, (B, C, *S).
        t: Levels, (B,), spread evenly over those trained on.
    """

    x: Tensor
    z: Tensor
    t: Tensor


def fixed_task(data: Dataset, noise: NoiseGenerator, config: Config) -> FixedTask:
    """Draw the validation batch of a run; the same for the same data and config."""
    count = min(config.train.validate_items, len(data))
    picks = torch.linspace(0, len(data) - 1, count).long().tolist()
    items = [data[i] for i in picks]
    images, masks = torch.stack([i.image for i in items]), torch.stack([i.mask for i in items])
    x = to_model(focused(images, masks, config.space.window))
    low, high = config.train.levels
    levels = torch.linspace(low, high, config.train.validate_levels).long()
    t = levels[torch.arange(count) % len(levels)]
    return FixedTask(x, noise(x, t, generator=[generator_for(config.seed, 1, i) for i in range(count)]), t)


@torch.no_grad()
def validate(
    network: Callable[..., Any], task: FixedTask, schedule: Schedule, config: Config
) -> dict[str, float]:
    """Return the mean loss and the mean absolute error of the clean estimate, the latter per level too."""
    device, size = next(network.parameters()).device, config.train.batch_size  # type: ignore[attr-defined]
    prediction = config.schedule.prediction_type
    denoiser = NetworkDenoiser(network, schedule, prediction)
    losses, errors = [], []
    for k in range(0, len(task.x), size):
        x, z, t = (v[k : k + size].to(device) for v in (task.x, task.z, task.t))
        args = (schedule, prediction, config.train.loss, config.train.snr_gamma)
        losses.append(denoising_loss(network, x, z, t, *args).cpu())
        errors.append((denoiser(schedule.add_noise(x, z, t), t) - x).abs().flatten(1).mean(1).cpu() / 2)
    error = torch.cat(errors)
    report = {"val_loss": float(torch.cat(losses).mean()), "val_mae": float(error.mean())}
    return report | {f"val_mae_{t}": float(error[task.t == t].mean()) for t in torch.unique(task.t).tolist()}


@torch.no_grad()
def sample_picture(
    network: Callable[..., Any], task: FixedTask, schedule: Schedule, path: Path, prediction: str
) -> None:
    """Save rows of (clean, noisy, estimate) for four of the fixed items."""
    from PIL import Image

    picks = torch.linspace(0, len(task.x) - 1, min(4, len(task.x))).long()
    device = next(network.parameters()).device  # type: ignore[attr-defined]
    x, z, t = (v[picks].to(device) for v in (task.x, task.z, task.t))
    x_t = schedule.add_noise(x, z, t)
    x_hat = NetworkDenoiser(network, schedule, prediction)(x_t, t)
    middle = [v[:, :1] if v.ndim == 4 else v[:, :1, :, :, v.shape[-1] // 2] for v in (x, x_t, x_hat)]
    rows = [torch.cat(list(v[:, 0]), dim=1) for v in map(to_public, middle)]
    pixels = (torch.cat(rows, dim=0) * 255).byte().cpu().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
