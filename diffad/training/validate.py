"""Validation on fixed items, levels and noise, so that two numbers differ only because the network does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffad.config import Config
from diffad.data.items import Dataset
from diffad.data.space import to_model, to_public
from diffad.data.window import crop_to_brain
from diffad.denoise import NetworkDenoiser
from diffad.protocols import NoiseGenerator, Sampler
from diffad.samplers import examples
from diffad.schedule import Schedule
from diffad.training.batch import Batch, collect_labels, corrupt_items
from diffad.training.example import condition_kwargs
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
        values = {f.name: getattr(self.example, f.name) for f in fields(Example)}
        taken: dict[str, Any] = {k: None if v is None else v[index].to(device) for k, v in values.items()}
        return Example(**taken), self.t[index].to(device)


def fixed_batch(data: Dataset, config: Config, count: int, pool: Sequence[Tensor] = ()) -> Batch:
    """Draw validation images, spread evenly over a data set; the same for the same data and config.

    Args:
        data: Held-out items.
        config: The experiment; its held-out corruptions, where it has any, else those of training.
        count: How many.
        pool: Images that patches of corruptions come from.
    """
    picks = torch.linspace(0, len(data) - 1, count).long().tolist()
    items = [data[i] for i in picks]
    images, masks = torch.stack([i.image for i in items]), torch.stack([i.mask for i in items])
    image, brain = (crop_to_brain(v, masks, config.space.window) for v in (images, masks))
    tasks = config.corrupt.held_out or config.corrupt.tasks
    generators = [generator_for(config.seed, 4, i) for i in range(count)]
    return corrupt_items(image, brain, collect_labels(data, picks), config.corrupt, tasks, generators, pool)


def spread_levels(config: Config, count: int) -> Tensor:
    """Spread the levels trained on over ``count`` items, (count,)."""
    low, high = config.train.levels
    levels = torch.linspace(low, high, config.train.validate_levels).long()
    return levels[torch.arange(count) % len(levels)]


def fixed_task(
    data: Dataset,
    noise: NoiseGenerator,
    sampler: Sampler,
    schedule: Schedule,
    config: Config,
    pool: Sequence[Tensor] = (),
) -> FixedTask:
    """Draw the validation batch of a run; the same for the same data and config."""
    count = min(config.train.validate_items, len(data))
    batch, t = fixed_batch(data, config, count, pool), spread_levels(config, count)
    generators = [generator_for(config.seed, 1, i) for i in range(count)]
    example = examples.make_example(
        sampler, to_model(batch.image), batch.brain, t, noise, schedule, generators
    )
    return FixedTask(replace(example, told=batch.told, label=batch.label), t)


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
        cond = condition_kwargs(network, example)
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
    picks = torch.linspace(0, len(task.t) - 1, min(4, len(task.t))).long().tolist()
    device = next(network.parameters()).device  # type: ignore[attr-defined]
    example, t = task.part(picks, device)
    x, x_t, cond = example.x, example.x_t, condition_kwargs(network, example)
    x_hat = NetworkDenoiser(network, schedule, prediction)(x_t, t, **cond)
    save_rows([to_public(v) for v in (x, x_t, x_hat)], path)


def save_rows(rows_of: Sequence[Tensor], path: Path) -> None:
    """Save images (N, C, *S) in [0, 1], one row for each tensor and one column for each item."""
    from PIL import Image

    middle = [v[:, :1] if v.ndim == 4 else v[:, :1, :, :, v.shape[-1] // 2] for v in rows_of]
    rows = [torch.cat(list(v[:, 0]), dim=1) for v in middle]
    pixels = (torch.cat(rows, dim=0) * 255).byte().cpu().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
