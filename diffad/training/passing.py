"""A detector that learns in one pass over the training scans: means, components, banks of features."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffad.config import Config, ConfigError
from diffad.data.items import Dataset
from diffad.io.terminal import say
from diffad.models.coding import PIXELS, Coding
from diffad.registry import DETECTORS, NOISES, SAMPLERS
from diffad.schedule import Schedule
from diffad.training.batch import Batch, make_batches, sample_pool
from diffad.training.detecting import make_detector_example, save_detections
from diffad.training.export import export_pipeline
from diffad.training.parts import build_data, build_network, build_part, build_scheduler
from diffad.training.reflow import Teacher
from diffad.training.stream import Stream, make_pass_loader
from diffad.training.validate import draw_validation_images


def learns_in_a_pass(config: Config) -> bool:
    """Tell whether a config trains a detector that takes no steps."""
    name = config.model["name"]
    if config.task != "detect" or name not in DETECTORS:
        return False  # an unknown one is refused where it is built
    return getattr(DETECTORS[name], "learns", "steps") == "pass"


class PassRun:
    """Holds the state of such a run: all that exporting it asks for.

    Args:
        config: The experiment.
        accelerator: The processes it runs on; the main one does the work.
    """

    teacher: Teacher | None = None
    coding: Coding = PIXELS

    def __init__(self, config: Config, accelerator: Any) -> None:
        self.config, self.accelerator = config, accelerator
        self.folder, self.step, self.seconds = Path(config.output) / config.name, 0, 0.0
        self.scheduler = build_scheduler(config)
        self.schedule = Schedule.from_diffusers(self.scheduler)
        self.noise = build_part(NOISES, config.noise, "noise")
        self.sampler = build_part(SAMPLERS, config.sampler, "sampler")
        torch.manual_seed(config.seed)
        self.network = build_network(config).to(self.device).eval()
        # there is no average
        self.ema_network = self.network
        self.pool: list[Tensor] = []
        self.training_data: Dataset | None = None

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        device: torch.device = self.accelerator.device
        return device

    @property
    def unwrapped(self) -> Any:
        """The network itself."""
        return self.network

    def refresh_ema_network(self) -> Any:
        """Return the network itself."""
        return self.network

    @torch.no_grad()
    def look_at(self, data: Dataset) -> None:
        """Show all items to the network, each once, in their order, but for those labelled diseased.

        Raises:
            ConfigError: If it cannot learn from them.
        """
        self.training_data, start, diseased_count = data, time.monotonic(), 0
        if self.config.corrupt.tasks:
            self.pool = sample_pool(data, self.config.space)
        train = self.config.train
        for micro_batch in make_pass_loader(Stream(data, self.config.seed), train.batch_size, train.workers):
            for batch, generators in make_batches(micro_batch, self.config, self.device, self.pool):
                diseased_count += self._observe_healthy(batch, generators)
            self.step += 1
        if diseased_count:
            name = self.config.model["name"]
            say(
                f"note: {diseased_count} items that are labelled diseased are left out, "
                f"as {name} learns what is healthy"
            )
        try:
            self.network.conclude()
        except ValueError as error:
            raise ConfigError(f"config key data: {error}") from error
        self.seconds = time.monotonic() - start

    def _observe_healthy(self, batch: Batch, generators: Sequence[torch.Generator]) -> int:
        """Show a batch without the items labelled diseased; return how many these are."""
        rows = (batch.label != 1).nonzero().flatten()
        if len(rows):
            some = [generators[i] for i in rows.tolist()]
            self.network.observe(make_detector_example(batch, some, rows, self.device))
        return len(batch.label) - len(rows)


def run_pass(config: Config, accelerator: Any) -> Path:
    """Learn in one pass, and write the pipeline; see ``train``. A run that is stopped begins anew.

    Raises:
        ConfigError: If a part cannot be built, or the data are too few.
    """
    target = Path(config.output) / config.name / "pipeline"
    if accelerator.is_main_process:
        run = PassRun(config, accelerator)
        data, validation_data = build_data(config, "train"), build_data(config, "val")
        say(f"learning {config.name} in one pass over {len(data)} items on {run.device}")
        run.look_at(data)
        count = min(config.train.validate_items, len(validation_data))
        batch = draw_validation_images(validation_data, config, count)
        save_detections(run.network, batch, run.folder / "samples" / "detections.png", run.device)
        target = export_pipeline(run, validation_data)
    accelerator.wait_for_everyone()
    return target
