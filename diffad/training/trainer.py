"""The state of a training run, and one step of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffad.config import Config
from diffad.data.items import Dataset
from diffad.data.labels import require_both
from diffad.data.place import tabulate_places
from diffad.registry import NOISES, SAMPLERS
from diffad.schedule import Schedule
from diffad.training import checkpoint
from diffad.training.batch import MicroBatch, make_batches, sample_pool
from diffad.training.codes import build_coding
from diffad.training.loss import check_loss, learning_rate
from diffad.training.objectives import make_objective
from diffad.training.parts import build_network, build_part, build_scheduler, check_network, load_auxiliary
from diffad.training.rates import group_parameters
from diffad.training.reflow import Teacher
from diffad.training.run_checkpoint import resume_run, save_run
from diffad.training.transfer import load_encoder, load_weights, locate_start
from diffad.types import generator_for


class Trainer:
    """Holds the state of one run: network, average, optimiser, step.

    Args:
        config: The experiment.
        accelerator: The processes it runs on.
    """

    def __init__(self, config: Config, accelerator: Any) -> None:
        self.config, self.accelerator = config, accelerator
        self.folder = Path(config.output) / config.name
        self.scheduler = build_scheduler(config)
        self.schedule = Schedule.from_diffusers(self.scheduler)
        self.noise = build_part(NOISES, config.noise, "noise")
        self.sampler = build_part(SAMPLERS, config.sampler, "sampler")
        self.objective = make_objective(config)
        self.pool: list[Tensor] = []
        self.training_data: Dataset | None = None
        self.step, self.seconds = 0, 0.0
        # initial weights come from the global generator, as everywhere in torch
        torch.manual_seed(config.seed)
        network = build_network(config)
        check_network(network, config)
        if not checkpoint.list_checkpoints(self.folder / "checkpoints"):
            self._load_initial_weights(network)
        self._build_ema_network(network)
        self.coding = build_coding(config, load_auxiliary(config).get("codec"), self.device)
        self.teacher = Teacher.of(config, self.schedule, self.device)
        if config.train.channels_last:
            is_flat = config.space.axis != "volume"
            network = network.to(memory_format=torch.channels_last if is_flat else torch.channels_last_3d)
        train = config.train
        groups = group_parameters(network)
        optimizer = torch.optim.AdamW(groups, lr=train.lr, weight_decay=train.weight_decay)
        self.network, self.optimizer = accelerator.prepare(network, optimizer)

    def _load_initial_weights(self, network: Any) -> None:
        """Load the weights that the recipe starts from, if any."""
        train = self.config.train
        if train.network is not None:
            load_weights(network, locate_start(train.network))
        if train.encoder is not None:
            load_encoder(network, Path(train.encoder))

    def _build_ema_network(self, network: Any) -> None:
        from diffusers.training_utils import EMAModel

        self.ema_network = build_network(self.config)
        self.ema_network.load_state_dict(network.state_dict())
        self.ema_network.to(self.device).eval().requires_grad_(False)
        decay = self.config.train.ema_decay
        self.ema = EMAModel(self.ema_network.parameters(), decay=decay, use_ema_warmup=True, power=0.75)
        self.ema.to(self.device)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        device: torch.device = self.accelerator.device
        return device

    @property
    def unwrapped(self) -> Any:
        """The network without the wrappers of several processes."""
        return self.accelerator.unwrap_model(self.network)

    def inspect(self, data: Dataset) -> None:
        """Take from the training data what corruptions are made of, or refuse it as the task must.

        Raises:
            DataError: If a classifier has labels of one class only, or none.
        """
        self.training_data = data
        if self.config.corrupt.tasks:
            self.pool = sample_pool(data, self.config.space)
        elif self.config.task == "classify":
            require_both([data[i].label for i in range(len(data))], self.config.data.get("root", "data"))

    def loss(
        self,
        images: Tensor,
        masks: Tensor,
        numbers: Tensor,
        labels: Tensor | None = None,
        places: Tensor | None = None,
        neighbours: Tensor | None = None,
    ) -> Tensor:
        """Return the mean loss of a micro-batch; all its randomness follows from the item numbers (B,)."""
        labels = torch.full((len(images),), -1) if labels is None else labels
        places = tabulate_places([None] * len(images)) if places is None else places
        neighbours = images[:, :0] if neighbours is None else neighbours
        micro_batch = (images, masks, numbers, labels, places, neighbours)
        batches = make_batches(micro_batch, self.config, self.device, self.pool)
        return torch.cat([self.objective.loss(self, batch, draws) for batch, draws in batches]).mean()

    def update(self, micro_batches: Sequence[MicroBatch]) -> float:
        """Take one optimiser step and return its loss, averaged over all processes.

        Raises:
            ValueError: If the loss is not finite, which no later step can mend.
        """
        self._begin_step()
        total = 0.0
        for k, batch in enumerate(micro_batches):
            is_last = k == len(micro_batches) - 1
            with nullcontext() if is_last else self.accelerator.no_sync(self.network):
                loss = self.loss(*batch) / len(micro_batches)
                self.accelerator.backward(loss)
            total += float(loss.detach())
        self._end_step()
        mean = self.accelerator.reduce(torch.tensor(total, device=self.device), "mean")
        return check_loss(float(mean), self.step, self.accelerator)

    def _begin_step(self) -> None:
        train = self.config.train
        rate = learning_rate(self.step, train.lr, train.warmup, train.steps, train.min_lr)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        # dropout draws from the global generator: tied to the step, it is the same in a resumed run
        keys = (self.config.seed, 3, self.step, self.accelerator.process_index)
        torch.manual_seed(generator_for(*keys).initial_seed())
        self.network.train()

    def _end_step(self) -> None:
        if self.config.train.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self.network.parameters(), self.config.train.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.step(self.unwrapped.parameters())
        self.step += 1

    def refresh_ema_network(self) -> Any:
        """Copy the averaged weights of now into the network that holds them, and return it."""
        self.ema.copy_to(self.ema_network.parameters())
        for target, source in zip(self.ema_network.buffers(), self.unwrapped.buffers(), strict=True):
            target.copy_(source)
        return self.ema_network

    def save(self) -> None:
        """Write a checkpoint, see ``save_run``."""
        save_run(self)

    def resume(self) -> bool:
        """Continue from the newest whole checkpoint, if there is one; see ``resume_run``."""
        return resume_run(self)
