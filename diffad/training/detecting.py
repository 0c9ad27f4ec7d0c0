"""Training of a detector without diffusion, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from diffad.data.items import Dataset
from diffad.training.batch import Batch
from diffad.training.export import export_pipeline
from diffad.training.state import NetworkRun
from diffad.training.turns import choose_turn
from diffad.training.validate import draw_validation_images, save_rows
from diffad.types import DetectorExample, generator_for


class Detecting:
    """Trains a detector by the loss that it says itself of scans as they are shown."""

    def loss(self, trainer: NetworkRun, batch: Batch, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the loss of each item, (B,); generator i is for item i."""
        example, turn = make_detector_example(batch, generators), choose_turn(trainer)
        loss: Tensor = trainer.network(example) if turn is None else trainer.network(example, turn)
        return loss

    def draw_validation_batch(self, trainer: NetworkRun, data: Dataset) -> Batch:
        """Draw held-out scans, the same every time."""
        count = min(trainer.config.train.validate_items, len(data))
        return draw_validation_images(data, trainer.config, count, trainer.pool)

    @torch.no_grad()
    def validate(self, trainer: NetworkRun, validation_batch: Batch, picture: Path) -> dict[str, float]:
        """Return the loss of the averaged network, and save rows of (scan, twin, map)."""
        network, size, losses = trainer.refresh_ema_network(), trainer.config.train.batch_size, []
        for rows in torch.split(torch.arange(len(validation_batch.image)), size):
            generators = [generator_for(trainer.config.seed, 1, i) for i in rows.tolist()]
            example = make_detector_example(validation_batch, generators, rows, trainer.device)
            losses.append(network(example).cpu())
        save_detections(network, validation_batch, picture, trainer.device)
        return {"val_loss": float(torch.cat(losses).mean())}

    def export(self, trainer: NetworkRun, data: Dataset) -> Path:
        """Write the pipeline, calibrated on ``data``; return its folder."""
        return export_pipeline(trainer, data)


def make_detector_example(
    batch: Batch,
    generators: Sequence[torch.Generator],
    rows: Tensor | None = None,
    device: torch.device | None = None,
) -> DetectorExample:
    """Show a batch to a detector: damaged where its config lays anomalies into what is shown.

    Args:
        batch: The batch.
        generators: One for each item that is shown.
        rows: Items that are shown; none shows all.
        device: Where they shall be; none leaves them.
    """
    view = batch.image if batch.damaged_image is None else batch.damaged_image
    damage = torch.zeros_like(batch.brain) if batch.damage is None else batch.damage

    def pick(value: Tensor) -> Tensor:
        return (value if rows is None else value[rows]).to(device)

    images = (pick(view), pick(batch.image), pick(batch.brain), pick(damage))
    return DetectorExample(*images, pick(batch.label), generators)


def save_detections(network: object, batch: Batch, picture: Path, device: torch.device) -> None:
    """Save rows of (scan, twin, map) of four scans; each map is scaled by its highest value."""
    if not picture.name:
        return
    view = make_detector_example(batch, ()).seen[:4].to(device)
    detection = network.detect(view, batch.brain[:4].to(device))  # type: ignore[attr-defined]
    twin = view if detection.image is None else detection.image
    highest = detection.map.flatten(1).amax(1).clamp(min=1e-6).reshape(-1, *[1] * (view.ndim - 1))
    save_rows(
        [v.float().cpu() for v in (view, twin.clamp(0, 1), (detection.map / highest).clamp(0, 1))], picture
    )
