"""The training run: config in, pipeline folder out."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffad.config import Config, ConfigError, load
from diffad.data.augment import augment
from diffad.data.items import Dataset
from diffad.data.space import to_model
from diffad.registry import DATASETS, MODELS, NOISES
from diffad.schedule import Schedule
from diffad.training import checkpoint
from diffad.training.loss import denoising_loss, learning_rate
from diffad.training.stream import Stream, loader
from diffad.training.validate import fixed_task, sample_picture, validate
from diffad.types import generator_for


def build_scheduler(config: Config) -> Any:
    """Build the diffusers scheduler that the pipeline folder will hold."""
    from diffusers import DDPMScheduler

    from diffad.config import to_dict

    return DDPMScheduler(**to_dict(config.schedule), clip_sample=False)


def build_data(config: Config, split: str) -> Dataset:
    """Build one split of the config's data set in the config's space."""
    return DATASETS.build(**{**config.data, "split": split, "space": config.space})  # type: ignore[no-any-return]


class Trainer:
    """Holds the state of one run: network, average, optimiser, step.

    Args:
        config: The experiment.
        accelerator: The processes it runs on.
    """

    def __init__(self, config: Config, accelerator: Any) -> None:
        from diffusers.training_utils import EMAModel

        self.config, self.accelerator = config, accelerator
        self.folder = Path(config.output) / config.name
        self.scheduler = build_scheduler(config)
        self.schedule = Schedule.from_diffusers(self.scheduler)
        self.noise = NOISES.build(**config.noise)
        self.step, self.seconds = 0, 0.0
        torch.manual_seed(config.seed)  # initial weights come from the global generator, as everywhere in torch
        network = MODELS.build(**config.model)
        if config.train.channels_last:
            network = network.to(memory_format=torch.channels_last)
        train = config.train
        optimizer = torch.optim.AdamW(network.parameters(), lr=train.lr, weight_decay=train.weight_decay)
        self.average = MODELS.build(**config.model)
        self.average.load_state_dict(network.state_dict())
        self.ema = EMAModel(self.average.parameters(), decay=train.ema_decay, use_ema_warmup=True, power=0.75)
        self.ema.to(accelerator.device)
        self.average.to(accelerator.device).eval().requires_grad_(False)
        self.network, self.optimizer = accelerator.prepare(network, optimizer)

    @property
    def bare(self) -> Any:
        """The network without the wrappers of several processes."""
        return self.accelerator.unwrap_model(self.network)

    def loss(self, images: Tensor, masks: Tensor, numbers: Tensor) -> Tensor:
        """Return the mean loss of a micro-batch; all its randomness follows from the item numbers (B,)."""
        config, device = self.config, self.accelerator.device
        generators = [generator_for(config.seed, 2, g) for g in numbers.tolist()]
        images, _ = augment(images.to(device), masks.to(device), config.augment, generators)
        x = to_model(self.cropped(images))
        low, high = config.train.levels
        t = torch.stack([torch.randint(low, high + 1, (), generator=g) for g in generators]).to(device)
        z = self.noise(x, t, generator=generators)
        args = (self.schedule, config.schedule.prediction_type, config.train.loss, config.train.snr_gamma)
        return denoising_loss(self.network, x, z, t, *args).mean()

    def cropped(self, images: Tensor) -> Tensor:
        """Return the centre crop that the early part of training uses, else all of ``images`` (B, C, *S)."""
        train = self.config.train
        if train.crop is None or self.step >= train.crop_until * train.steps:
            return images
        for axis, size in enumerate(train.crop, start=2):
            images = images.narrow(axis, (images.shape[axis] - size) // 2, size)
        return images

    def update(self, micro_batches: Sequence[tuple[Tensor, Tensor, Tensor]]) -> float:
        """Take one optimiser step and return its loss, averaged over all processes."""
        train, total = self.config.train, 0.0
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, train.lr, train.warmup, train.steps, train.min_lr)
        self.network.train()
        for k, (images, masks, numbers) in enumerate(micro_batches):
            last = k == len(micro_batches) - 1
            with _nothing() if last else self.accelerator.no_sync(self.network):
                loss = self.loss(images, masks, numbers) / len(micro_batches)
                self.accelerator.backward(loss)
            total += float(loss.detach())
        self.accelerator.clip_grad_norm_(self.network.parameters(), train.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.step(self.bare.parameters())
        self.step += 1
        return float(self.accelerator.reduce(torch.tensor(total, device=self.accelerator.device), "mean"))

    def averaged(self) -> Any:
        """Return the network with averaged weights."""
        self.ema.copy_to(self.average.parameters())
        return self.average

    def save(self) -> None:
        """Write a checkpoint from the main process."""
        if self.accelerator.is_main_process:
            info = {"config": self.config.to_dict(), "seconds": self.seconds, "ema_step": self.ema.optimization_step}
            checkpoint.save(
                self.folder / "checkpoints",
                self.step,
                self.bare.state_dict(),
                self.averaged().state_dict(),
                self.optimizer.optimizer.state_dict(),
                info,
                self.config.train.keep_checkpoints,
            )
        self.accelerator.wait_for_everyone()

    def resume(self) -> bool:
        """Continue from the newest checkpoint, if there is one.

        Raises:
            CheckpointError: If it is damaged or was made by another architecture.
        """
        found = checkpoint.checkpoints(self.folder / "checkpoints")
        if not found:
            return False
        state = checkpoint.load(found[-1], self.optimizer.optimizer.state_dict())
        checkpoint.check_same(found[-1], state["info"]["config"], self.config.to_dict())
        self.bare.load_state_dict(state["model"])
        self.average.load_state_dict(state["ema"])
        self.ema.shadow_params = [p.clone().detach() for p in self.average.parameters()]
        self.ema.optimization_step = state["info"]["ema_step"]
        self.optimizer.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["info"]["step"], state["info"]["seconds"]
        return True


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def train(config: Config) -> Path:
    """Train, validate, checkpoint; resume where an earlier run of the same name and output stopped.

    Returns:
        The pipeline folder that ``AnomalyPipeline.from_pretrained`` loads.
    """
    from diffad.training.journal import Journal, make_accelerator

    accelerator = make_accelerator(config)
    trainer = Trainer(config, accelerator)
    resumed = trainer.resume()
    data, held_out = build_data(config, "train"), build_data(config, "val")
    task = fixed_task(held_out, trainer.noise, config)
    with Journal(trainer, resumed) as journal:
        _steps(trainer, data, task, journal)
    if accelerator.is_main_process:
        from diffad.training.export import export

        export(trainer, held_out)
    accelerator.wait_for_everyone()
    accelerator.end_training()
    return trainer.folder / "pipeline"


def _steps(trainer: Trainer, data: Dataset, task: Any, journal: Any) -> None:
    train, accelerator = trainer.config.train, trainer.accelerator
    stream = Stream(data, trainer.config.seed)
    span = (trainer.step, train.steps)
    rank, world = accelerator.process_index, accelerator.num_processes
    batches = iter(loader(stream, span, train.batch_size, train.accumulate, rank, world, train.workers))
    began = time.monotonic() - trainer.seconds
    while trainer.step < train.steps:
        loss = trainer.update([next(batches) for _ in range(train.accumulate)])
        trainer.seconds = time.monotonic() - began
        due = {n: trainer.step % n == 0 or trainer.step == train.steps for n in (train.validate_every, train.checkpoint_every)}
        report = {"loss": loss, "lr": trainer.optimizer.param_groups[0]["lr"], "seconds": trainer.seconds}
        if due[train.validate_every] and accelerator.is_main_process:
            report |= validate(trainer.averaged(), task, trainer.schedule, trainer.config)
            picture = trainer.folder / "samples" / f"step-{trainer.step:07d}.png"
            sample_picture(trainer.average, task, trainer.schedule, picture, trainer.config.schedule.prediction_type)
        journal.write(trainer.step, report)
        if due[train.checkpoint_every] or journal.interrupted:
            trainer.save()
        if journal.interrupted:
            raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    """Run `CONFIG [key=value ...]`; return the exit code."""
    import sys

    from diffad.training.checkpoint import CheckpointError

    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: accelerate launch -m diffad.training CONFIG [key=value ...]")
        return 0 if arguments else 2
    torch.set_flush_denormal(True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print(json.dumps({"pipeline": str(train(load(arguments[0], arguments[1:])))}))
    except KeyboardInterrupt:
        print("stopped; the last checkpoint is kept, run the same command to go on", file=sys.stderr)
        return 130
    except (ConfigError, CheckpointError, ValueError, KeyError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
