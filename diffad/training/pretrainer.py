"""The state of a pretraining run, and one step of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffad.config import Config, ConfigError
from diffad.data.augment import augment
from diffad.data.items import Dataset
from diffad.data.window import crop_to_brain
from diffad.models.cells import draw_cells, find_hidden_pixels
from diffad.models.encoder import Encoder
from diffad.models.masked import MaskedAutoencoder
from diffad.registry import MODELS
from diffad.training import checkpoint
from diffad.training.batch import MicroBatch
from diffad.training.checkpoint import Checkpoint, CheckpointError
from diffad.training.loss import check_loss, learning_rate, mean_over
from diffad.training.parts import build_part
from diffad.types import generator_for

FOLDER = "pretraining"
BETAS = (0.9, 0.95)


def reconstruction_loss(x_hat: Tensor, x: Tensor, cells: Tensor, cell: int) -> Tensor:
    """Return the squared error of each item over its hidden cells, (B,).

    Args:
        x_hat: Predicted images, (B, C, *S).
        x: True images, (B, C, *S).
        cells: Visible cells, (B, 1, *N), bool.
        cell: Side of a cell, in pixels.
    """
    return mean_over((x_hat.float() - x).square(), find_hidden_pixels(cells, cell, x.shape[2:]))


class Pretrainer:
    """Holds the state of one pretraining run: autoencoder, optimiser, step.

    Args:
        config: The experiment.
        accelerator: The processes it runs on.
        cell: Side of a cell, in pixels.
        ratio: Share of cells that is hidden.
    """

    def __init__(self, config: Config, accelerator: Any, cell: int, ratio: float) -> None:
        self.config, self.accelerator, self.cell, self.ratio = config, accelerator, cell, ratio
        self.folder = Path(config.output) / config.name / FOLDER
        self.step, self.seconds = 0, 0.0
        # initial weights come from the global generator, as everywhere in torch
        torch.manual_seed(config.seed)
        autoencoder = MaskedAutoencoder(_build_encoder(config), cell)
        parameters = [p for p in autoencoder.parameters() if p.requires_grad]
        train = config.train
        optimizer = torch.optim.AdamW(parameters, lr=train.lr, betas=BETAS, weight_decay=train.weight_decay)
        self.network, self.optimizer = accelerator.prepare(autoencoder, optimizer)

    @property
    def unwrapped(self) -> MaskedAutoencoder:
        """The autoencoder without the wrappers of several processes."""
        network: MaskedAutoencoder = self.accelerator.unwrap_model(self.network)
        return network

    def loss(self, images: Tensor, masks: Tensor, generators: list[torch.Generator]) -> Tensor:
        """Return the mean loss of images in [0, 1] (B, C, *S), whose cells are drawn from ``generators``."""
        image = crop_to_brain(images, masks, self.config.space.window)
        cells = draw_cells(image.shape[2:], self.cell, self.ratio, generators).to(image.device)
        return reconstruction_loss(self.network(image, cells), image, cells, self.cell).mean()

    def update(self, micro_batches: Sequence[MicroBatch]) -> float:
        """Take one optimiser step and return its loss, averaged over all processes.

        Raises:
            ValueError: If the loss is not finite, which no later step can mend.
        """
        config, train, device = self.config, self.config.train, self.accelerator.device
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, train.lr, train.warmup, train.steps, train.min_lr)
        self.network.train()
        total = 0.0
        for images, masks, numbers, *_ in micro_batches:
            generators = [generator_for(config.seed, 5, g) for g in numbers.tolist()]
            views = augment(images.to(device), masks.to(device), config.augment, generators)
            loss = self.loss(*views, generators) / len(micro_batches)
            self.accelerator.backward(loss)
            total += float(loss.detach())
        if train.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self.network.parameters(), train.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        mean = float(self.accelerator.reduce(torch.tensor(total, device=device), "mean"))
        return check_loss(mean, self.step, self.accelerator)

    @torch.no_grad()
    def validate(self, data: Dataset) -> float:
        """Return the loss on fixed items with fixed cells."""
        self.network.eval()
        train, device, losses = self.config.train, self.accelerator.device, []
        indices = torch.linspace(0, len(data) - 1, min(train.validate_items, len(data))).long()
        for chunk in torch.split(indices, train.batch_size):
            items = [data[i] for i in chunk.tolist()]
            generators = [generator_for(self.config.seed, 6, i) for i in chunk.tolist()]
            images, masks = torch.stack([i.image for i in items]), torch.stack([i.mask for i in items])
            losses += [float(self.loss(images.to(device), masks.to(device), generators))] * len(items)
        return sum(losses) / len(losses)

    def save(self) -> None:
        """Write a checkpoint from the main process.

        Raises:
            CheckpointError: If it cannot be written.
        """
        if not self.accelerator.is_main_process:
            return
        info = {"step": self.step, "seconds": self.seconds, "config": self.config.to_dict()}
        info |= {"cell": self.cell, "ratio": self.ratio}
        optimizer = checkpoint.pack(self.optimizer.optimizer.state_dict())
        state = Checkpoint(self.unwrapped.state_dict(), {}, optimizer, info)
        checkpoint.save_checkpoint(self.folder / "checkpoints", state, self.config.train.keep_checkpoints)

    def resume(self) -> bool:
        """Continue from the newest whole checkpoint, if there is one.

        Raises:
            CheckpointError: If it was made with other cells or another network, or all are damaged.
        """
        is_main = self.accelerator.is_main_process
        state = checkpoint.load_newest(self.folder / "checkpoints", self.config.to_dict(), announce=is_main)
        if state is None:
            return False
        cell, ratio = (state.info.get(key) for key in ("cell", "ratio"))
        if (cell, ratio) != (self.cell, self.ratio):
            expected = f"expected a checkpoint of cell = {self.cell}, ratio = {self.ratio}"
            found = f"found one of cell = {cell}, ratio = {ratio}; choose another name or output"
            raise CheckpointError(f"{self.folder}: {expected}, {found}")
        self.unwrapped.load_state_dict(state.model)
        optimizer = self.optimizer.optimizer
        optimizer.load_state_dict(checkpoint.unpack(state.optimizer, optimizer.state_dict()))
        self.step, self.seconds = state.info["step"], state.info["seconds"]
        return True


def _build_encoder(config: Config) -> Encoder:
    encoder = getattr(build_part(MODELS, config.model, "model"), "encoder", None)
    if not isinstance(encoder, Encoder):
        name = config.model["name"]
        raise ConfigError(f"config key model: expected a network with an encoder, got {name!r}")
    return encoder
