"""Training of an autoencoder of clean scans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffad.data.items import Dataset
from diffad.training.batch import Batch
from diffad.training.export import export_network
from diffad.training.loss import mean_over
from diffad.training.validate import fixed_batch, save_rows


class Autoencoding:
    r"""Trains an autoencoder of clean scans by the squared error.

    .. math:: L = \lVert D(E(x)) - x \rVert^2

    Reference:
        Diffusion Models for Counterfactual Generation and Anomaly Detection in Brain Images
        (Fontanella et al., IEEE TMI 2024).
    """

    def loss(self, trainer: Any, batch: Batch, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the mean squared error of each item, (B,)."""
        return mean_over((trainer.network(batch.image).float() - batch.image).square(), None)

    def fixed(self, trainer: Any, data: Dataset) -> Batch:
        """Draw held-out scans, the same every time."""
        return fixed_batch(data, trainer.config, min(trainer.config.train.validate_items, len(data)))

    @torch.no_grad()
    def look(self, trainer: Any, fixed: Batch, picture: Path) -> dict[str, float]:
        """Return errors of the averaged network, and save rows of (scan, rebuilt scan)."""
        network, device = trainer.averaged(), trainer.accelerator.device
        size = trainer.config.train.batch_size
        rebuilt = torch.cat([network(x.to(device)).float().cpu() for x in torch.split(fixed.image, size)])
        if picture.name:
            save_rows((fixed.image[:4], rebuilt[:4].clamp(0, 1)), picture)
        error = rebuilt - fixed.image
        return {"val_loss": float(error.square().mean()), "val_mae": float(error.abs().mean())}

    def export(self, trainer: Any, data: Dataset) -> Path:
        """Write the network with its errors; return its folder."""
        return export_network(trainer, self.look(trainer, self.fixed(trainer, data), Path()))
