"""Validation on fixed items, levels and noise, so that two numbers differ only because the network does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from diffad.protocols import NoiseGenerator, Sampler
from diffad.samplers import examples
from diffad.schedule import Schedule
from diffad.training.example import known
from diffad.training.loss import denoising_loss, mean_over
from diffad.types import Example, generator_for


@dataclass(frozen=True)
class FixedTask:
    """A batch that never changes.

    Args:
        example: What the network sees and should find.
        t: Levels, (B,), spread evenly over those trained on.
    """

    example: Example
    t: Tensor

    def part(self, picks: Sequence[int], device: torch.device) -> tuple[Example, Tensor]:
        """Return some items of the batch on a device."""
        index = torch.as_tensor(picks)
        e, region = self.example, self.example.region
        x, z, x_t = (v[index].to(device) for v in (e.x, e.z, e.x_t))
        return Example(x, z, x_t, None if region is None else region[index].to(device)), self.t[index].to(
            device
        )


def fixed_task(
    data: Dataset, noise: NoiseGenerator, sampler: Sampler, schedule: Schedule, config: Config
) -> FixedTask:
    """Draw the validation batch of a run; the same for the same data and config."""
    count = min(config.train.validate_items, len(data))
    picks = torch.linspace(0, len(data) - 1, count).long().tolist()
    items = [data[i] for i in picks]
    images, masks = torch.stack([i.image for i in items]), torch.stack([i.mask for i in items])
    x = to_model(focused(images, masks, config.space.window))
    low, high = config.train.levels
    levels = torch.linspace(low, high, config.train.validate_levels).long()
    t = levels[torch.arange(count) % len(levels)]
    generators = [generator_for(config.seed, 1, i) for i in range(count)]
    brains = focused(masks, masks, config.space.window)
    return FixedTask(examples.make(sampler, x, brains, t, noise, schedule, generators), t)


@torch.no_grad()
def validate(
    network: Callable[..., Any], task: FixedTask, schedule: Schedule, config: Config
) -> dict[str, float]:
    """Return the mean loss and the mean absolute error of the clean estimate, the latter per level too."""
    device, size = next(network.parameters()).device, config.train.batch_size  # type: ignore[attr-defined]
    prediction = config.schedule.prediction_type
    denoiser = NetworkDenoiser(network, schedule, prediction)
    losses, errors = [], []
    for k in range(0, len(task.t), size):
        example, t = task.part(range(k, min(k + size, len(task.t))), device)
        args = (schedule, prediction, config.train.loss, config.train.snr_gamma)
        cond = known(network, example)
        losses.append(denoising_loss(network, example, t, *args, cond).cpu())
        wrong = (denoiser(example.x_t, t, **cond) - example.x).abs()
        errors.append(mean_over(wrong, example.region).cpu() / 2)
    error = torch.cat(errors)
    report = {"val_loss": float(torch.cat(losses).mean()), "val_mae": float(error.mean())}
    return report | {f"val_mae_{t}": float(error[task.t == t].mean()) for t in torch.unique(task.t).tolist()}


@torch.no_grad()
def sample_picture(
    network: Callable[..., Any], task: FixedTask, schedule: Schedule, path: Path, prediction: str
) -> None:
    """Save rows of (clean, noisy, estimate) for four of the fixed items."""
    from PIL import Image

    picks = torch.linspace(0, len(task.t) - 1, min(4, len(task.t))).long().tolist()
    device = next(network.parameters()).device  # type: ignore[attr-defined]
    example, t = task.part(picks, device)
    x, x_t, cond = example.x, example.x_t, known(network, example)
    x_hat = NetworkDenoiser(network, schedule, prediction)(x_t, t, **cond)
    middle = [v[:, :1] if v.ndim == 4 else v[:, :1, :, :, v.shape[-1] // 2] for v in (x, x_t, x_hat)]
    rows = [torch.cat(list(v[:, 0]), dim=1) for v in map(to_public, middle)]
    pixels = (torch.cat(rows, dim=0) * 255).byte().cpu().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
