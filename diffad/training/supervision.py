"""What a run is given to learn from: healthy scans, synthetic anomalies, or labels."""

from __future__ import annotations

from typing import Any

from diffad.config import Config
from diffad.data.items import Dataset
from diffad.denoise import null_label
from diffad.protocols import Detector
from diffad.training.state import NetworkRun


def asks_for_labels(network: Any, config: Config) -> bool:
    """Tell whether a run needs healthy and diseased scans: a classifier, or a detector of such supervision.

    Synthetic anomalies stand for diseased scans, where a config lays them in.
    """
    is_detector = isinstance(network, Detector) and network.supervision == "image-level"
    return not config.corrupt.tasks and (config.task == "classify" or is_detector)


def name_supervision(trainer: NetworkRun) -> str:
    """Name what a run was given to learn from, in a word of ``SUPERVISIONS``."""
    network, data = trainer.ema_network, trainer.training_data
    word = network.supervision if isinstance(network, Detector) else "normal"
    if word not in ("normal", "image-level"):
        return word
    if (word == "image-level" or null_label(network) is not None) and _has_diseased(data):
        return "image-level"
    return "normal+synthetic" if trainer.config.corrupt.tasks else "normal"


def _has_diseased(data: Dataset | None) -> bool:
    return data is not None and any(data[i].label == 1 for i in range(len(data)))
