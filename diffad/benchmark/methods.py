"""A method, opened: scans in, maps out, and what its maps follow from."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffad.benchmark.config import BASELINES, BenchmarkConfig, MethodConfig, hash_values
from diffad.benchmark.test_sets import SliceTests, TestItem, hash_tensors
from diffad.data.volume import Volume


@dataclass
class Prediction:
    """Maps of the scans of one set, and what they cost.

    Args:
        maps: Anomaly maps, (*S) each.
        twins: Pseudo-healthy twins, (*S) each; none where the method makes none.
        detected: Detections at the threshold stored in the model, (*S) each; none where it has none.
        scores: Scores of the whole scans; none where the method gives none.
        slices: How many slices were looked at.
        nfe: Network evaluations per slice.
        seconds: Seconds for the whole set.
    """

    maps: list[Tensor] = field(default_factory=list)
    twins: list[Tensor] = field(default_factory=list)
    detected: list[Tensor] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    slices: int = 0
    nfe: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class BenchmarkMethod:
    """One row of the tables.

    Args:
        label: What it is called.
        fingerprint: Hash of all that its maps follow from, but for the scans and the seed.
        parameters: Weights of the network.
        run: Maps scans with a seed of the noise.
    """

    label: str
    fingerprint: str
    parameters: int
    run: Callable[[Sequence[TestItem], int], Prediction]

    def timed(self, items: Sequence[TestItem], seed: int) -> Prediction:
        """Return the maps with the seconds they took."""
        began = time.perf_counter()
        found = self.run(items, seed)
        found.seconds = time.perf_counter() - began
        return found


def load_method(
    config: BenchmarkConfig, label: str, slices: SliceTests | None, device: torch.device
) -> BenchmarkMethod:
    """Load a pipeline, or fit a naive baseline.

    Raises:
        OSError: If there is no such pipeline.
        ValueError: If it cannot be used, or a baseline has nothing to learn from.
    """
    for spec in config.methods:
        if spec.label == label:
            return _pipeline(spec, config, device)
    return _baseline(label, slices)


def _pipeline(spec: MethodConfig, config: BenchmarkConfig, device: torch.device) -> BenchmarkMethod:
    from diffad.inference.precision import resolve_precision
    from diffad.pipeline import AnomalyPipeline
    from diffad.predict.provenance import hash_model

    source = spec.pipeline or str(config.out / "runs" / spec.label / "pipeline")
    if spec.pipeline is None and not Path(source).is_dir():
        raise FileNotFoundError(f"{source}: expected a trained pipeline, found none")
    pipe = AnomalyPipeline.from_pretrained(source)
    made_of = [hash_model(pipe), dict(pipe.config["sampler"]), spec.parts.to_overrides()]
    precision = resolve_precision(config.precision, device)
    pipe = pipe.to(device)
    pipe.set_progress_bar_config(disable=True)
    options = {**spec.parts.to_overrides(), "batch_size": config.batch_size, "precision": precision}

    def run(items: Sequence[TestItem], seed: int) -> Prediction:
        found = Prediction()
        for batch in _batches(items):
            _add(found, batch, pipe, {**options, "seed": seed})
        return found

    parameters = sum(p.numel() for p in pipe.network.parameters())
    return BenchmarkMethod(spec.label, hash_values(made_of, precision), parameters, run)


def _batches(items: Sequence[TestItem]) -> list[list[TestItem]]:
    """Put slices of one shape together; a volume is a batch of its own."""

    def shape(pair: tuple[int, TestItem]) -> tuple[Any, ...]:
        number, item = pair
        return (number,) if isinstance(item.scan, Volume) else tuple(item.scan.shape)

    return [[item for _, item in group] for _, group in groupby(enumerate(items), shape)]


def _add(found: Prediction, batch: list[TestItem], pipe: Any, options: dict[str, Any]) -> None:
    first = batch[0].scan
    if isinstance(first, Volume):
        out = pipe(first, mask=batch[0].brain, **options)
    else:
        brains = torch.stack([torch.from_numpy(item.brain)[None] for item in batch])
        out = pipe(torch.stack([item.scan for item in batch]), mask=brains, **options)  # type: ignore[misc]
    found.maps += list(out.anomaly_map[:, 0].float().cpu())
    twins = zip(batch, out.reconstruction[:, 0].float().cpu(), strict=True)
    found.twins += [(twin / item.top).clamp(0, 1) for item, twin in twins]
    found.scores += [float(score) for score in out.score]
    if str(out.info.get("threshold_rule", "")).startswith("healthy"):
        found.detected += list(out.mask[:, 0].cpu())
    found.nfe, found.slices = int(out.info["nfe"]), found.slices + int(out.info["slices"])


def _baseline(label: str, slices: SliceTests | None) -> BenchmarkMethod:
    score, learnt = _fitted(label, slices)

    def run(items: Sequence[TestItem], seed: int) -> Prediction:
        found = Prediction(slices=len(items))
        for item in items:
            x = torch.from_numpy(item.image)[None, None]
            found.maps.append(score(x)[0, 0] * torch.from_numpy(item.brain))
        return found

    return BenchmarkMethod(label, hash_values(label, learnt), 0, run)


def _fitted(label: str, slices: SliceTests | None) -> tuple[Callable[[Tensor], Tensor], str]:
    from diffad.evaluation.baselines import MedianResidual, PCAResidual, ZScoreBaseline, raw_intensity

    if label == BASELINES[0]:
        return raw_intensity, ""
    if slices is None:
        raise ValueError("expected data.slices, whose train/ it learns from, got none")
    made: dict[str, Any] = dict(
        zip(BASELINES[1:], (ZScoreBaseline, PCAResidual, MedianResidual), strict=True)
    )
    fitted = made[label]().fit(slices.train, slices.brain)
    return fitted.score, hash_tensors(slices.train, slices.brain)
