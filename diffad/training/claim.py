"""One run, one folder: two trainings that write the same checkpoints would each spoil the other's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from diffad.io.claims import RUNNING, Claim, ClaimedError


@contextmanager
def claim_run(accelerator: Any, folder: Path) -> Iterator[None]:
    """Hold the folder of a run for all processes of one training; all of them learn whether it is theirs.

    Args:
        accelerator: The processes of the run.
        folder: Its folder.

    Raises:
        ClaimedError: If another training is at work there; it is named by process and machine.
        OSError: If the folder cannot be written.
    """
    claim = Claim(folder / RUNNING / "training")
    failure = _acquire(claim, folder) if accelerator.is_main_process else None
    failures = torch.tensor(float(failure is not None), device=accelerator.device)
    if accelerator.reduce(failures, "sum") > 0:
        raise failure or ClaimedError(f"{folder}: the main process could not claim this folder")
    try:
        yield
    finally:
        claim.release()


def _acquire(claim: Claim, folder: Path) -> OSError | None:
    """Take the claim; return what stands in the way."""
    try:
        if claim.acquire():
            return None
    except OSError as error:
        return error
    return ClaimedError(
        f"{folder}: expected no other training in this folder, found {claim.describe_holder()}; "
        "wait for it or end it, or choose another name or output"
    )
