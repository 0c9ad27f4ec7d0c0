"""Training of a codec with a codebook: latents that stay near entries, and entries that are used."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from diffad.data.items import Dataset
from diffad.io.terminal import say
from diffad.training.batch import Batch
from diffad.training.compressing import Compressing
from diffad.training.state import NetworkRun


class Quantising(Compressing):
    r"""Trains a vector-quantised autoencoder: entries come to latents, and latents stay near entries.

    .. math:: L = \tfrac{1}{N} \lVert \hat x - x \rVert_1
              + \mathrm{mean} \, (\mathrm{sg}(h) - e)^2 + \beta \, \mathrm{mean} \, (h - \mathrm{sg}(e))^2

    with latents h, nearest entries e and sg, which no gradient passes. In the code of latent diffusion
    :math:`\beta` stands at the other term, by a mistake that is kept there and not here.

    Reference:
        Neural Discrete Representation Learning (van den Oord et al., 2017), equation 3.
    """

    def measure_pull(self, trainer: NetworkRun, latents: Tensor, entries: Tensor, voxels: int) -> Tensor:
        """Return how far latents (B, Z, *L) are from their entries, (B,), weighted by term."""
        return measure_commitment(latents.float(), entries.float(), trainer.config.train.commitment)

    @torch.no_grad()
    def validate(self, trainer: NetworkRun, validation_batch: Batch, picture: Path) -> dict[str, float]:
        """Return errors of the averaged network in [0, 1], and how much of the codebook is used."""
        report = super().validate(trainer, validation_batch, picture)
        share, perplexity = measure_usage(self._count_entries(trainer, validation_batch))
        return report | {"codebook_used": share, "codebook_perplexity": perplexity}

    def export(self, trainer: NetworkRun, data: Dataset) -> Path:
        """Write the network with the scale of its codes, and say how many entries are dead."""
        folder = super().export(trainer, data)
        batch = self.draw_validation_batch(trainer, data)
        counts = self._count_entries(trainer, batch)
        if dead := int((counts == 0).sum()):
            say(
                f"warning: dead codes: {dead} of the {len(counts)} entries of the codebook are used by none "
                f"of {len(batch.image)} held-out image(s); fewer model.entries or more steps may help"
            )
        return folder

    def _count_entries(self, trainer: NetworkRun, batch: Batch) -> Tensor:
        network, codes = trainer.refresh_ema_network(), self._run(trainer, batch)[1]
        latents = codes.to(trainer.device) / network.scale
        numbers = network.find_entries(latents).flatten().cpu()
        return torch.bincount(numbers, minlength=len(network.codebook))


def measure_commitment(latents: Tensor, entries: Tensor, beta: float) -> Tensor:
    """Return the distance (B,) of latents and entries (B, Z, *L), by which both learn."""
    to_latents = (latents.detach() - entries).square().flatten(1).mean(1)
    to_entries = (latents - entries.detach()).square().flatten(1).mean(1)
    return to_latents + beta * to_entries


def measure_usage(counts: Tensor) -> tuple[float, float]:
    r"""Return the share of entries that are used, and their perplexity :math:`e^{-\sum p \ln p}`.

    Args:
        counts: How many cells have each entry, (N,).
    """
    p = counts.double() / counts.sum().clamp(min=1)
    entropy = -(p * p.clamp(min=1e-12).log()).sum()
    return float((counts > 0).double().mean()), float(entropy.exp())
