"""Validation on fixed items, levels and noise, so that two numbers differ only because the network does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffad.config import Config, SpaceConfig
from diffad.data.items import Dataset, TrainingItem
from diffad.data.neighbours import stack_neighbours
from diffad.data.place import tabulate_places
from diffad.data.space import to_public
from diffad.data.window import crop_to_brain, group_by_window
from diffad.denoise import NetworkDenoiser, learns_variance
from diffad.models.coding import PIXELS, Coding
from diffad.protocols import NoiseGenerator, Sampler
from diffad.schedule import Schedule
from diffad.training.batch import Batch, collect_labels, condition_kwargs, corrupt_items
from diffad.training.example import make_batch_example
from diffad.training.loss import denoising_loss, mean_over
from diffad.training.pictures import draw_picture
from diffad.types import Example, generator_for


@dataclass(frozen=True)
class ValidationExamples:
    """Examples that never change.

    Args:
        example: What the network sees and should find.
        t: Levels, (B,), spread evenly over those trained on.
    """

    example: Example
    t: Tensor

    def select(self, indices: Sequence[int], device: torch.device) -> tuple[Example, Tensor]:
        """Return some of the examples and their levels on a device."""
        index = torch.as_tensor(indices)
        values = {f.name: getattr(self.example, f.name) for f in fields(Example)}
        rows: dict[str, Any] = {k: None if v is None else v[index].to(device) for k, v in values.items()}
        return Example(**rows), self.t[index].to(device)


def draw_validation_images(data: Dataset, config: Config, count: int, pool: Sequence[Tensor] = ()) -> Batch:
    """Draw validation images, spread evenly over a data set; the same for the same data and config.

    Args:
        data: Held-out items.
        config: The experiment; its held-out corruptions, where it has any, else those of training.
        count: How many.
        pool: Images that patches of corruptions come from.
    """
    indices, items = _choose_items(data, config.space, count)
    images, masks = torch.stack([i.image for i in items]), torch.stack([i.mask for i in items])
    stacks = (images, masks, stack_neighbours(items))
    image, brain, neighbours = (crop_to_brain(v, masks, config.space.window) for v in stacks)
    tasks = config.corrupt.held_out or config.corrupt.tasks
    generators = [generator_for(config.seed, 4, i) for i in range(len(items))]
    labels = collect_labels(data, indices)
    batch = corrupt_items(image, brain, labels, config.corrupt, tasks, generators, pool, neighbours)
    return replace(batch, place=tabulate_places([item.place for item in items]))


def _choose_items(data: Dataset, space: SpaceConfig, count: int) -> tuple[list[int], list[TrainingItem]]:
    """Choose items that are spread evenly, all in the window of the axis whose thresholds are measured."""
    planes = len(space.further_windows) + 1
    indices = torch.linspace(0, len(data) - 1, count * planes).long().tolist()
    items = [data[i] for i in indices]
    if planes > 1:
        groups = dict(group_by_window(tabulate_places([item.place for item in items]), space))
        rows = groups.get(space.window) or next(iter(groups.values()))
        rows = [rows[k] for k in torch.linspace(0, len(rows) - 1, min(count, len(rows))).long().tolist()]
        indices, items = [indices[k] for k in rows], [items[k] for k in rows]
    return indices, items


def spread_levels(config: Config, count: int) -> Tensor:
    """Spread the levels trained on over ``count`` items, (count,)."""
    low, high = config.train.levels
    levels = torch.linspace(low, high, config.train.validate_levels).long()
    return levels[torch.arange(count) % len(levels)]


def draw_validation_examples(
    data: Dataset,
    noise: NoiseGenerator,
    sampler: Sampler,
    schedule: Schedule,
    config: Config,
    pool: Sequence[Tensor] = (),
    coding: Coding = PIXELS,
) -> ValidationExamples:
    """Draw the validation examples of a run; the same for the same data and config."""
    count = min(config.train.validate_items, len(data))
    batch = draw_validation_images(data, config, count, pool)
    t = spread_levels(config, len(batch.image))
    generators = [generator_for(config.seed, 1, i) for i in range(len(t))]
    example = make_batch_example(sampler, batch, t, noise, schedule, generators, coding)
    return ValidationExamples(example, t if example.level is None else example.level)


@torch.no_grad()
def validate(
    network: Callable[..., Any], validation: ValidationExamples, schedule: Schedule, config: Config
) -> dict[str, float]:
    """Return the mean loss and the mean absolute error of the clean estimate, the latter per level too."""
    device, size = next(network.parameters()).device, config.train.batch_size  # type: ignore[attr-defined]
    prediction = config.schedule.prediction_type
    denoiser = NetworkDenoiser(network, schedule, prediction, clip=config.space.code == "pixels")
    losses, errors = [], []
    for k in range(0, len(validation.t), size):
        example, t = validation.select(range(k, min(k + size, len(validation.t))), device)
        recipe = (schedule, prediction, config.train.loss, config.train.snr_gamma)
        cond = condition_kwargs(network, example)
        further = (config.corrupt.mark, config.train.auxiliary, learns_variance(network))
        losses.append(denoising_loss(network, example, t, *recipe, cond, *further).cpu())
        distance = (denoiser(example.x_t, t, **cond) - example.x).abs()
        errors.append(mean_over(distance, example.region).cpu() / 2)
    error, levels = torch.cat(errors), validation.t
    report = {"val_loss": float(torch.cat(losses).mean()), "val_mae": float(error.mean())}
    return report | {f"val_mae_{t}": float(error[levels == t].mean()) for t in torch.unique(levels).tolist()}


@torch.no_grad()
def save_estimates(
    network: Callable[..., Any],
    validation: ValidationExamples,
    schedule: Schedule,
    path: Path,
    prediction: str,
    coding: Coding = PIXELS,
) -> None:
    """Save rows of (clean, noisy, estimate) for four of the validation examples."""
    indices = torch.linspace(0, len(validation.t) - 1, min(4, len(validation.t))).long().tolist()
    device = next(network.parameters()).device  # type: ignore[attr-defined]
    example, t = validation.select(indices, device)
    x, x_t, cond = example.x, example.x_t, condition_kwargs(network, example)
    x_hat = NetworkDenoiser(network, schedule, prediction, clip=not coding.is_coded)(x_t, t, **cond)
    sides = [n * coding.factor for n in x.shape[2:]]
    save_rows([to_public(coding.decode(v, sides)) for v in (x, x_t, x_hat)], path)


def save_rows(rows: Sequence[Tensor], path: Path) -> None:
    """Save images (N, C, *S) in [0, 1], one row for each tensor and one column for each item."""
    from PIL import Image

    slices = [v[:, 0] if v.ndim == 4 else v[:, 0, :, :, v.shape[-1] // 2] for v in rows]
    with draw_picture(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = torch.cat([torch.cat(list(row), dim=1) for row in slices])
        Image.fromarray((picture * 255).byte().cpu().numpy()).save(path)
