"""A picture of each method at work: scan, reconstruction and map of one slice with each kind of lesion."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffad.benchmark.config import BenchmarkConfig
from diffad.benchmark.items import HEALTHY
from diffad.benchmark.score import load_samples
from diffad.benchmark.test_sets import TestSets
from diffad.benchmark.units import PredictionUnit
from diffad.evaluation.samples import Sample
from diffad.io.atomic import write_bytes

COLUMNS = 6
"""Slices in a picture, at most."""


def draw_thumbnail(config: BenchmarkConfig, tests: TestSets, label: str) -> list[Path]:
    """Draw one method with its first seed; nothing if it has no maps of it.

    Raises:
        OSError: If the picture cannot be written.
    """
    from PIL import Image

    from diffad.report.gallery import compose_gallery

    seed = config.list_seeds(label)[0]
    sets = [s for s in tests.list_sets(seed) if s.kind != HEALTHY][:COLUMNS]
    paths = [PredictionUnit(label, seed, s.name).path(config.out) for s in sets]
    samples = [_choose_sample(load_samples(s, p)) for s, p in zip(sets, paths, strict=True) if p.is_file()]
    if len({sample.scores.shape for sample in samples}) != 1:
        return []
    picture = compose_gallery(*zip(*map(_cut_planes, samples), strict=True))
    content, path = io.BytesIO(), config.out / "thumbs" / f"{label}.png"
    Image.fromarray((picture.movedim(0, -1) * 255).byte().numpy()).save(content, "PNG", optimize=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content.getvalue())
    return [path]


def _choose_sample(samples: list[Sample]) -> Sample:
    """Return the middle one of those with a lesion, the same for every method."""
    candidates = [s for s in samples if s.truth.any()] or samples
    return candidates[len(candidates) // 2]


def _cut_planes(sample: Sample) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return scan, reconstruction, map and lesion of a slice; of a volume, of that with most lesion."""
    blank = np.zeros(sample.scores.shape, np.float32)
    arrays = (sample.image, sample.twin, sample.scores, sample.truth)
    scan, reconstruction, scores, truth = (blank if a is None else a for a in arrays)
    if sample.axis is not None:
        k = int(truth.sum(axis=(0, 1)).argmax())
        scan, reconstruction, scores, truth = (
            np.rot90(a[:, :, k]) for a in (scan, reconstruction, scores, truth)
        )
    lesion = torch.from_numpy(np.ascontiguousarray(truth) > 0)
    return _to_tensor(scan), _to_tensor(reconstruction), _to_tensor(scores), lesion


def _to_tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
