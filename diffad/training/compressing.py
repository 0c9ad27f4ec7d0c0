"""Training of a codec: images to latents that are nearly normal, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from einops import reduce
from torch import Tensor

from diffad.data.items import Dataset
from diffad.data.space import to_model, to_public
from diffad.models.padding import crop_back, pad_to_multiple
from diffad.training.batch import Batch
from diffad.training.export import export_network
from diffad.training.loss import mean_over
from diffad.training.state import NetworkRun
from diffad.training.validate import draw_validation_images, save_rows


class Compressing:
    r"""Trains a KL autoencoder by the absolute error, with a little pull towards a normal distribution.

    .. math:: L = \tfrac{1}{N} \lVert D(z) - x \rVert_1
              + \tfrac{w}{2 N} \sum (\mu^2 + \sigma^2 - 1 - \log \sigma^2), \quad z \sim N(\mu, \sigma^2)

    with the N voxels of all channels of an image. There is neither an adversary nor a perceptual loss, by
    which published codecs keep texture sharp at large factors.

    Reference:
        High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2022), appendix G.
    """

    def loss(self, trainer: NetworkRun, batch: Batch, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the loss of each item, (B,); generator i is for item i."""
        x, crop = _pad(trainer, to_model(batch.image))
        first, second, image = trainer.network(x, generators)
        error = mean_over(crop_back((image.float() - x).abs(), crop), None)
        return error + self.measure_pull(trainer, first, second, x[0].numel())

    def measure_pull(self, trainer: NetworkRun, mean: Tensor, std: Tensor, voxels: int) -> Tensor:
        """Return the weighted divergence (B,) of latents of mean and spread (B, Z, *L) from a normal one."""
        return trainer.config.train.kl / voxels * measure_divergence(mean.float(), std.float())

    def draw_validation_batch(self, trainer: NetworkRun, data: Dataset) -> Batch:
        """Draw held-out images, the same every time."""
        count = min(trainer.config.train.validate_items, len(data))
        return draw_validation_images(data, trainer.config, count)

    @torch.no_grad()
    def validate(self, trainer: NetworkRun, validation_batch: Batch, picture: Path) -> dict[str, float]:
        """Return errors of the averaged network in [0, 1], and save rows of (image, decoded code)."""
        image, (decoded_image, codes) = validation_batch.image, self._run(trainer, validation_batch)
        if picture.name:
            save_rows((image[:4], decoded_image[:4]), picture)
        error = (decoded_image - image).abs()
        report = {"val_loss": 2 * float(error.mean()), "val_mae": float(error.mean())}
        return report | {"code_std": float(codes.std())}

    def export(self, trainer: NetworkRun, data: Dataset) -> Path:
        """Measure the scale that makes the deviation of codes 1, and write the network; return its folder."""
        batch = self.draw_validation_batch(trainer, data)
        codes = self._run(trainer, batch)[1]
        for network in (trainer.ema_network, trainer.unwrapped):
            network.scale.fill_(1 / max(float(codes.std()), 1e-6) * float(network.scale))
        report = self.validate(trainer, batch, Path())
        return export_network(trainer, report)

    @torch.no_grad()
    def _run(self, trainer: NetworkRun, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return decoded images in [0, 1] and codes of the averaged network."""
        network, images, codes = trainer.refresh_ema_network(), [], []
        for chunk in torch.split(to_model(batch.image), trainer.config.train.batch_size):
            x, crop = _pad(trainer, chunk.to(trainer.device))
            codes.append(network.encode(x).float().cpu())
            decoded_image = network.decode(codes[-1].to(trainer.device))
            images.append(to_public(crop_back(decoded_image, crop).float().cpu()))
        return torch.cat(images), torch.cat(codes)


def measure_divergence(mean: Tensor, std: Tensor) -> Tensor:
    """Return the divergence (B,) of normal distributions (B, Z, *L) from one of mean 0 and variance 1."""
    terms = mean.square() + std.square() - 1 - 2 * std.clamp(min=1e-12).log()
    return reduce(terms, "b ... -> b", "sum") / 2


def _pad(trainer: NetworkRun, x: Tensor) -> tuple[Tensor, tuple[slice, ...]]:
    return pad_to_multiple(x, trainer.ema_network.factor)
