"""A method ready for use: scans in, maps out, and what its maps follow from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from diffad.benchmark.baselines import load_baseline
from diffad.benchmark.config import BenchmarkConfig, MethodConfig, hash_values
from diffad.benchmark.items import TestItem
from diffad.benchmark.prediction import BenchmarkMethod as BenchmarkMethod
from diffad.benchmark.prediction import Prediction as Prediction
from diffad.benchmark.slices import HealthySlices
from diffad.data.volume import Volume


def load_method(
    config: BenchmarkConfig, label: str, slices: HealthySlices | None, device: torch.device
) -> BenchmarkMethod:
    """Load a pipeline, or fit a naive baseline.

    Raises:
        OSError: If there is no such pipeline.
        ValueError: If it cannot be used, or a baseline has nothing to learn from.
    """
    for spec in config.methods:
        if spec.label == label:
            return _load_pipeline(spec, config, device)
    return load_baseline(label, config.data, slices)


def _load_pipeline(spec: MethodConfig, config: BenchmarkConfig, device: torch.device) -> BenchmarkMethod:
    from diffad.inference.precision import resolve_precision
    from diffad.pipeline import AnomalyPipeline
    from diffad.predict.provenance import hash_model

    source = spec.pipeline or str(config.out / "runs" / spec.label / "pipeline")
    if spec.pipeline is None and not Path(source).is_dir():
        raise FileNotFoundError(f"{source}: expected a trained pipeline, found none")
    pipe = AnomalyPipeline.from_pretrained(source)
    parts = spec.parts.to_overrides()
    origin: list[Any] = [hash_model(pipe), dict(pipe.config["sampler"]), parts]
    if spec.noise_seed is not None:
        origin.append(spec.noise_seed)
    precision = resolve_precision(config.precision, device)
    pipe = pipe.to(device)
    pipe.set_progress_bar_config(disable=True)
    options = {**parts, "batch_size": config.batch_size, "precision": precision}

    def run(items: Sequence[TestItem], seed: int) -> Prediction:
        prediction = Prediction()
        for batch in _split_batches(items):
            noise_seed = seed if spec.noise_seed is None else spec.noise_seed
            _add_batch(prediction, batch, pipe, {**options, "seed": noise_seed})
        return prediction

    parameters = sum(p.numel() for p in pipe.network.parameters())
    fingerprint = hash_values(origin, precision)
    return BenchmarkMethod(spec.label, fingerprint, parameters, run, pipe.supervision, pipe.backbone)


def _split_batches(items: Sequence[TestItem]) -> list[list[TestItem]]:
    """Put slices of one shape together; a volume is a batch of its own."""

    def shape(pair: tuple[int, TestItem]) -> tuple[Any, ...]:
        number, item = pair
        return (number,) if isinstance(item.scan, Volume) else tuple(item.scan.shape)

    return [[item for _, item in group] for _, group in groupby(enumerate(items), shape)]


def _add_batch(prediction: Prediction, batch: list[TestItem], pipe: Any, options: dict[str, Any]) -> None:
    first = batch[0].scan
    if isinstance(first, Volume):
        out = pipe(first, mask=batch[0].brain, **{"slices": "all", **options})
    else:
        brains = torch.stack([torch.from_numpy(item.brain)[None] for item in batch])
        out = pipe(torch.stack([item.scan for item in batch]), mask=brains, **options)  # type: ignore[misc]
    prediction.maps += list(out.anomaly_map[:, 0].float().cpu())
    pairs = zip(batch, out.reconstruction[:, 0].float().cpu(), strict=True)
    prediction.reconstructions += [(x_hat / item.maximum).clamp(0, 1) for item, x_hat in pairs]
    prediction.scores += [float(score) for score in out.score]
    if str(out.info.get("threshold_rule", "")).startswith("healthy"):
        prediction.detections += list(out.mask[:, 0].cpu())
    prediction.nfe, prediction.slices = int(out.info["nfe"]), prediction.slices + int(out.info["slices"])
