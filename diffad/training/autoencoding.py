"""Training of an autoencoder of clean scans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from diffad.data.items import Dataset
from diffad.training.batch import Batch
from diffad.training.export import export_network
from diffad.training.loss import mean_over
from diffad.training.state import NetworkRun
from diffad.training.validate import draw_validation_images, save_rows


class Autoencoding:
    r"""Trains an autoencoder of clean scans by the squared error.

    .. math:: L = \lVert D(E(x)) - x \rVert^2

    Reference:
        Diffusion Models for Counterfactual Generation and Anomaly Detection in Brain Images
        (Fontanella et al., IEEE TMI 2024).
    """

    def loss(self, trainer: NetworkRun, batch: Batch, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the mean squared error of each item, (B,)."""
        return mean_over((trainer.network(batch.image).float() - batch.image).square(), None)

    def draw_validation_batch(self, trainer: NetworkRun, data: Dataset) -> Batch:
        """Draw held-out scans, the same every time."""
        count = min(trainer.config.train.validate_items, len(data))
        return draw_validation_images(data, trainer.config, count)

    @torch.no_grad()
    def validate(self, trainer: NetworkRun, validation_batch: Batch, picture: Path) -> dict[str, float]:
        """Return errors of the averaged network, and save rows of (scan, reconstruction)."""
        network, image = trainer.refresh_ema_network(), validation_batch.image
        chunks = torch.split(image, trainer.config.train.batch_size)
        reconstruction = torch.cat([network(x.to(trainer.device)).float().cpu() for x in chunks])
        if picture.name:
            save_rows((image[:4], reconstruction[:4].clamp(0, 1)), picture)
        error = reconstruction - image
        return {"val_loss": float(error.square().mean()), "val_mae": float(error.abs().mean())}

    def export(self, trainer: NetworkRun, data: Dataset) -> Path:
        """Write the network with its errors; return its folder."""
        report = self.validate(trainer, self.draw_validation_batch(trainer, data), Path())
        return export_network(trainer, report)
