"""The processes of one run, made ready for it and let go of at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from diffad.config import Config
from diffad.training.claim import claim_run
from diffad.training.journal import make_accelerator


@contextmanager
def open_session(config: Config, folder: Path) -> Iterator[Any]:
    """Hold the folder of a run, and give the processes that it runs on.

    Args:
        config: The experiment.
        folder: Folder of the run.

    Raises:
        ClaimedError: If another training is at work there.
        OSError: If the folder cannot be written.
    """
    from accelerate.state import AcceleratorState

    torch.set_flush_denormal(True)  # tiny numbers of the optimiser would slow a CPU down a hundredfold
    accelerator = make_accelerator(config)
    try:
        with claim_run(accelerator, folder):
            yield accelerator
    finally:
        accelerator.end_training()
        AcceleratorState._reset_state(True)  # else the next run could not choose another precision
