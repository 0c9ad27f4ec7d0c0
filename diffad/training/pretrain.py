"""Pretraining of the encoder of a conditioned network by painting hidden cells in, before ``train``."""

from __future__ import annotations

from pathlib import Path

from diffad.config import Config
from diffad.training.journal import RunLog
from diffad.training.parts import build_data
from diffad.training.pretrainer import FOLDER, Pretrainer
from diffad.training.session import open_session
from diffad.training.steps import fit
from diffad.training.stop import StopSignal
from diffad.training.transfer import save_encoder


def pretrain(config: Config, cell: int = 32, ratio: float = 0.65) -> Path:
    r"""Pretrain the encoder of ``config.model`` on its training data; resume where an earlier run stopped.

    .. math:: L = \mathrm{mean}_{u \in \mathrm{hidden}} (\hat x_u - x_u)^2

    Data, space, augmentation and recipe are the config's. Its levels, noise and sampler take no part.

    Args:
        config: The experiment; its model is "conditioned".
        cell: Side of the cells that are hidden or shown whole, in pixels; divides 32 or is a multiple of it.
        ratio: Share of cells that is hidden.

    Returns:
        The folder to name as ``train.encoder``.

    Raises:
        ConfigError: If the model has no encoder, or it or the data cannot be built.
        ValueError: If cells and ratio do not fit the images.
        CheckpointError: If the checkpoint of an earlier run does not fit, or none can be written.
        ClaimedError: If another pretraining is at work in the same folder.
        Interrupted: If a signal asked to stop; a checkpoint was saved.

    Reference:
        Designing BERT for Convolutional Networks: Sparse and Hierarchical Masked Modeling
        (Tian et al., 2023); as a first stage in Behrendt et al. (2025).
    """
    with open_session(config, Path(config.output) / config.name / FOLDER) as accelerator:
        return _run(Pretrainer(config, accelerator, cell, ratio))


def _run(trainer: Pretrainer) -> Path:
    data, validation_data = build_data(trainer.config, "train"), build_data(trainer.config, "val")
    is_resumed = trainer.resume()
    with StopSignal(trainer.accelerator.is_main_process) as stop, RunLog(trainer, is_resumed) as log:
        fit(trainer, data, lambda: {"val_loss": trainer.validate(validation_data)}, log, stop)
    folder = trainer.folder / "encoder"
    if trainer.accelerator.is_main_process:
        info = {"cell": trainer.cell, "ratio": trainer.ratio, "steps": trainer.step}
        save_encoder(trainer.unwrapped.encoder, folder, head=False, info=info)
    trainer.accelerator.wait_for_everyone()
    return folder
