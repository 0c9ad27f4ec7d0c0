"""A picture of each method at work: scan, twin and map of one slice with each kind of lesion."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffad.benchmark.config import BenchmarkConfig
from diffad.benchmark.score import load_samples
from diffad.benchmark.storage import PredictionUnit
from diffad.benchmark.test_sets import HEALTHY, Tests
from diffad.evaluation.samples import Sample

COLUMNS = 6
"""Slices in a picture, at most."""


def draw_thumbnail(config: BenchmarkConfig, tests: Tests, label: str) -> list[Path]:
    """Draw one method with its first seed; nothing where it has no maps of it.

    Raises:
        OSError: If the picture cannot be written.
    """
    from PIL import Image

    from diffad.report.gallery import compose_gallery

    seed = config.seeds_of(label)[0]
    sets = [s for s in tests.of(seed) if s.kind != HEALTHY][:COLUMNS]
    paths = [PredictionUnit(label, seed, s.name).path(config.out) for s in sets]
    shown = [_chosen(load_samples(s, p)) for s, p in zip(sets, paths, strict=True) if p.is_file()]
    shapes = {sample.scores.shape for sample in shown}
    if len(shapes) != 1:
        return []
    picture = compose_gallery(*zip(*(_planes(sample) for sample in shown), strict=True))
    pixels = (picture.movedim(0, -1) * 255).byte().numpy()
    path = config.out / "thumbs" / f"{label}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid.uuid4().hex[:8]}.{path.name}")
    Image.fromarray(pixels).save(partial, optimize=True)
    partial.replace(path)
    return [path]


def _chosen(parts: list[Sample]) -> Sample:
    """Return the one in the middle of those with a lesion, the same for every method."""
    lesioned = [s for s in parts if s.truth.any()] or parts
    return lesioned[len(lesioned) // 2]


def _planes(sample: Sample) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return scan, twin, map and lesion of a slice; of a volume, of the one with most lesion."""
    blank = np.zeros(sample.scores.shape, np.float32)
    arrays = (sample.image, sample.twin, sample.scores, sample.truth)
    scan, twin, scores, truth = (blank if a is None else a for a in arrays)
    if sample.axis is not None:
        most = int(truth.sum(axis=(0, 1)).argmax())
        scan, twin, scores, truth = (np.rot90(a[:, :, most]) for a in (scan, twin, scores, truth))
    return _tensor(scan), _tensor(twin), _tensor(scores), torch.from_numpy(np.ascontiguousarray(truth) > 0)


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
