"""What a training run is at a step, as a checkpoint, and the run that goes on from one."""

from __future__ import annotations

from typing import Any, Protocol

import torch

from diffad.protocols import MakesExamples
from diffad.training import checkpoint
from diffad.training.changes import BINDING_KEYS
from diffad.training.checkpoint import Checkpoint, CheckpointError
from diffad.training.state import NetworkRun


class StoredRun(NetworkRun, Protocol):
    """A run whose state is written, and read again.

    Args:
        optimizer: The optimiser, wrapped for several processes.
        ema: The averaged weights.
    """

    optimizer: Any
    ema: Any


def save_run(run: StoredRun) -> None:
    """Write a checkpoint from the main process; all processes learn whether it could be written.

    Raises:
        CheckpointError: If it could not.
    """
    failure: CheckpointError | None = None
    if run.accelerator.is_main_process:
        try:
            keep = run.config.train.keep_checkpoints
            checkpoint.save_checkpoint(run.folder / "checkpoints", _make_state(run), keep)
        except CheckpointError as error:
            failure = error
    failures = torch.tensor(float(failure is not None), device=run.device)
    if run.accelerator.reduce(failures, "sum") > 0:
        raise failure or CheckpointError("the main process could not write its checkpoint")


def _make_state(run: StoredRun) -> Checkpoint:
    info = {
        "step": run.step,
        "config": run.config.to_dict(),
        "seconds": run.seconds,
        "ema_step": run.ema.optimization_step,
    }
    if run.accelerator.scaler is not None:
        info["scaler"] = run.accelerator.scaler.state_dict()
    optimizer = checkpoint.pack(run.optimizer.optimizer.state_dict())
    return Checkpoint(run.unwrapped.state_dict(), run.refresh_ema_network().state_dict(), optimizer, info)


def resume_run(run: StoredRun) -> bool:
    """Let a run go on from its newest whole checkpoint, if there is one.

    Raises:
        CheckpointError: If it was made by another recipe, all are damaged, or processes see others.
    """
    binding = (*BINDING_KEYS, "sampler") if isinstance(run.sampler, MakesExamples) else BINDING_KEYS
    state = checkpoint.load_newest(
        run.folder / "checkpoints", run.config.to_dict(), binding, run.accelerator.is_main_process
    )
    if state is not None:
        _restore(run, state)
    steps = run.accelerator.gather(torch.tensor([run.step], device=run.device)).tolist()
    if len(set(steps)) > 1:
        raise CheckpointError(
            f"{run.folder}: expected one folder that all processes share, found steps {steps}"
        )
    return state is not None


def _restore(run: StoredRun, state: Checkpoint) -> None:
    try:
        run.unwrapped.load_state_dict(state.model)
        run.ema_network.load_state_dict(state.ema)
    except RuntimeError as error:  # from torch, with a line for each tensor
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{run.folder}: expected weights of this network, found others: {reason}"
        ) from error
    optimizer = run.optimizer.optimizer
    optimizer.load_state_dict(checkpoint.unpack(state.optimizer, optimizer.state_dict()))
    run.ema.shadow_params = [p.clone().detach() for p in run.ema_network.parameters()]
    run.ema.optimization_step = state.info["ema_step"]
    if run.accelerator.scaler is not None and "scaler" in state.info:
        run.accelerator.scaler.load_state_dict(state.info["scaler"])
    run.step, run.seconds = state.info["step"], state.info["seconds"]
