"""The training run: config in, pipeline folder out."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffad.config import Config, load
from diffad.config.plugins import load_argument_plugins
from diffad.io.terminal import format_error, say, show
from diffad.training.journal import RunLog
from diffad.training.parts import build_data, check_parts
from diffad.training.passing import learns_in_a_pass, run_pass
from diffad.training.session import open_session
from diffad.training.steps import fit
from diffad.training.stop import StopSignal
from diffad.training.trainer import Trainer

PRODUCTS = {
    "denoise": "pipeline",
    "detect": "pipeline",
    "classify": "network",
    "autoencode": "network",
    "compress": "network",
}
"""Folder that a run leaves behind, by task."""
USAGE = "usage: accelerate launch -m diffad.training [--plugin FILE]... CONFIG [key=value ...]"


def train(config: Config) -> Path:
    """Train, validate, checkpoint; resume where an earlier run of the same name and output stopped.

    Returns:
        The pipeline folder that ``AnomalyPipeline.from_pretrained`` loads, or that of the network where the
        task is neither to denoise nor to detect.

    Raises:
        ConfigError: If a part cannot be built.
        CheckpointError: If the checkpoint of an earlier run does not fit, or none can be written.
        ClaimedError: If another training is at work in the same folder.
        Interrupted: If a signal asked to stop; a checkpoint was saved.
    """
    check_parts(config)
    with open_session(config, Path(config.output) / config.name) as accelerator:
        return _run(config, accelerator)


def _run(config: Config, accelerator: Any) -> Path:
    if learns_in_a_pass(config):
        return run_pass(config, accelerator)
    trainer = Trainer(config, accelerator)
    data, validation_data = build_data(config, "train"), build_data(config, "val")
    trainer.inspect(data)
    is_resumed = trainer.resume()
    validation_batch = trainer.objective.draw_validation_batch(trainer, validation_data)
    with StopSignal(accelerator.is_main_process) as stop, RunLog(trainer, is_resumed) as log:
        fit(trainer, data, lambda: _validate(trainer, validation_batch), log, stop)
    if accelerator.is_main_process:
        trainer.objective.export(trainer, validation_data)
    accelerator.wait_for_everyone()
    return trainer.folder / PRODUCTS[config.task]


def _validate(trainer: Trainer, validation_batch: Any) -> dict[str, float]:
    """Validate the averaged network and save pictures of it, in the main process."""
    if not trainer.accelerator.is_main_process:
        return {}
    picture = trainer.folder / "samples" / f"step-{trainer.step:07d}.png"
    return trainer.objective.validate(trainer, validation_batch, picture)


def run_training_arguments(arguments: Sequence[str]) -> int:
    """Run `CONFIG [key=value ...]`; return the exit code."""
    try:
        words = load_argument_plugins(arguments)
        if not words or words[0] in ("-h", "--help"):
            print(USAGE)
            return 0 if words else 2
        product = train(load(words[0], words[1:]))
    except KeyboardInterrupt as stop:
        return _print_end(str(stop) or "stopped; the same command goes on from the last checkpoint", 130)
    except (ValueError, OSError) as error:
        return _print_end(f"error: {format_error(error)}", 1)
    if _is_main_process():
        show("result", json.dumps({product.name: str(product)}), **{product.name: str(product)})
    return 0


def _is_main_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _print_end(message: str, code: int) -> int:
    if code == 1 or _is_main_process():
        say(message)
    return code
