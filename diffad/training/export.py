"""What a finished run leaves behind: a pipeline folder, calibrated on healthy scans."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch

from diffad.config import to_dict
from diffad.data.items import Dataset
from diffad.pipeline import AnomalyPipeline
from diffad.threshold import calibrate


def export(trainer: Any, healthy: Dataset) -> Path:
    """Write ``FOLDER/pipeline`` from the averaged weights, with thresholds measured on ``healthy``.

    Args:
        trainer: The finished run.
        healthy: Healthy scans that were not trained on.

    Returns:
        The pipeline folder, which appears whole or not at all.
    """
    config = trainer.config
    pipe = AnomalyPipeline(
        trainer.averaged(),
        trainer.scheduler,
        noise=config.noise,
        sampler=config.sampler,
        score=config.score,
        guidance=config.guidance,
        space=to_dict(config.space),
        postprocess=to_dict(config.postprocess),
        provenance={"name": config.name, "steps": trainer.step, "seconds": round(trainer.seconds), "seed": config.seed},
    )
    pipe.register_to_config(calibration=calibration(pipe, healthy, config.train.calibrate_fpr))
    target, partial = trainer.folder / "pipeline", trainer.folder / ".pipeline.partial"
    shutil.rmtree(partial, ignore_errors=True)
    pipe.save_pretrained(partial)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(partial, target)
    return target


def calibration(pipe: AnomalyPipeline, healthy: Dataset, rates: tuple[float, ...]) -> dict[str, Any]:
    """Measure thresholds on healthy items, in the network's own grid."""
    items = [healthy[i] for i in range(len(healthy))]
    x, brain = torch.stack([i.image for i in items]), torch.stack([i.mask for i in items])
    maps, _, _ = pipe.detector().maps(x, brain, [0] * len(items))
    return calibrate(((m[None], b[None]) for m, b in zip(maps, brain.bool(), strict=True)), rates).to_dict()
