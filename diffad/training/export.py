"""What a finished run leaves behind: a pipeline folder, calibrated on healthy scans."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import torch

from diffad.config import to_dict
from diffad.data.items import Dataset
from diffad.io.atomic import staged_folder
from diffad.io.digests import write_digests
from diffad.pipeline import AnomalyPipeline
from diffad.protocols import Detector
from diffad.training.calibration import calibrate_pipeline
from diffad.training.curves import save_curves
from diffad.training.domain import measure_domain, measure_range
from diffad.training.pictures import draw_picture
from diffad.training.references import load_networks
from diffad.training.state import NetworkRun
from diffad.training.supervision import name_supervision


def export_pipeline(trainer: NetworkRun, data: Dataset) -> Path:
    """Write ``FOLDER/pipeline`` from the averaged weights, with thresholds measured on healthy scans.

    Args:
        trainer: The finished run.
        data: Scans that were not trained on; those labelled as diseased are left out.

    Returns:
        The pipeline folder, which appears whole or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    config = trainer.config
    provenance = {"name": label_run(trainer), "steps": trainer.step, "seconds": round(trainer.seconds)}
    provenance |= {
        "training_noise": config.noise,
        "seed": config.seed,
        "supervision": name_supervision(trainer),
    }
    pipe = AnomalyPipeline(
        trainer.refresh_ema_network(),
        trainer.scheduler,
        noise=config.sampling_noise or config.noise,
        sampler=config.sampler,
        score=config.score,
        guidance=config.guidance,
        space=to_dict(config.space),
        postprocess=to_dict(config.postprocess),
        provenance=provenance,
        sequences=config.data.get("sequences"),
        contrasts=config.contrasts or None,
        scope=_find_scope(trainer.training_data),
        **load_networks(config, trainer.training_data),
    )
    measure_domain(pipe, trainer.training_data)
    calibrate_pipeline(pipe, data, config.train.calibrate_fpr)
    _save_curves(trainer.folder)
    return save_pipeline(pipe, trainer.folder / "pipeline")


def label_run(trainer: NetworkRun) -> str:
    """Return the name of a run, with that of a network of features where there is one: ``fae[lite0]``."""
    network = trainer.ema_network
    backbone = network.backbone if isinstance(network, Detector) else None
    return f"{trainer.config.name}[{backbone}]" if backbone else trainer.config.name


def _find_scope(data: Dataset | None) -> dict[str, Any] | None:
    """Return what the training data say of the part of the brain that a model knows; none where it is all."""
    range_mm = None if data is None else measure_range(data)
    return None if range_mm is None else {"range_mm": list(range_mm)}


def export_network(trainer: NetworkRun, report: dict[str, float]) -> Path:
    """Write ``FOLDER/network`` from the averaged weights, for parts that ask for such a network.

    Args:
        trainer: The finished run.
        report: What was measured on held-out scans.

    Returns:
        The folder, which appears whole or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    config, target = trainer.config, trainer.folder / "network"
    record = {"name": config.name, "task": config.task, "steps": trainer.step, "seed": config.seed}
    record |= {"seconds": round(trainer.seconds), "levels": config.train.levels, "held_out": report}
    _save_curves(trainer.folder)
    with staged_folder(target) as partial:
        trainer.refresh_ema_network().save_pretrained(partial, safe_serialization=True)
        (partial / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        write_digests(partial, partial.rglob("*.safetensors"))
    return target


def _save_curves(folder: Path) -> None:
    log = folder / "log.jsonl"
    with draw_picture(folder / "curves.png"):
        if log.exists() and log.stat().st_size:
            save_curves(log, folder / "curves.png")


def save_pipeline(pipe: AnomalyPipeline, target: Path, dtype: torch.dtype | None = None) -> Path:
    """Write a pipeline folder whole or not at all, without the path it was once loaded from.

    Args:
        pipe: What to write; it is left as it is.
        target: Folder to write or replace.
        dtype: Type of the weights on disk. They load as float32 again: half precision only halves the files.

    Raises:
        OSError: If it cannot be written.
    """
    parts = pipe.components
    if dtype is not None:
        parts["network"] = copy.deepcopy(pipe.network).to(dtype)
    with staged_folder(target) as partial:
        if (card := target / "README.md").is_file():  # which a person may have edited
            shutil.copy(card, partial)
        copied = type(pipe)(**parts, **_list_options(pipe))
        copied.healthy, copied.contrast_maps = pipe.healthy, pipe.contrast_maps
        copied.save_pretrained(partial)
    return target


def _list_options(pipe: AnomalyPipeline) -> dict[str, Any]:
    parts = pipe.components
    return {k: v for k, v in pipe.config.items() if not k.startswith("_") and k not in parts}
