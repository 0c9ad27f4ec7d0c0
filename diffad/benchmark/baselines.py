"""The naive baselines as rows of a benchmark, for slices and for whole volumes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from diffad.benchmark.config import PLAIN_BASELINES, DataConfig, hash_values
from diffad.benchmark.items import TestItem, hash_tensors
from diffad.benchmark.prediction import BenchmarkMethod, Prediction
from diffad.benchmark.slices import HealthySlices
from diffad.data.volume import Volume
from diffad.io.digests import hash_file

ItemMap = Callable[[TestItem], Tensor]
"""Maps a scan or slice to its anomaly map (*S)."""


def load_baseline(label: str, data: DataConfig, slices: HealthySlices | None) -> BenchmarkMethod:
    """Fit a naive baseline on the healthy slices or scans of a benchmark, unless it learns nothing.

    Raises:
        ValueError: If there is nothing to learn from, or a scan cannot be used.
    """
    if label in PLAIN_BASELINES and (slices is not None or not data.healthy):
        score, digest = _find_plain_map(label), ""
    elif slices is None:
        score, digest = _fit_volumes(label, data)
    else:
        score, digest = _fit_slices(label, slices)

    def run(items: Sequence[TestItem], seed: int) -> Prediction:
        prediction = Prediction(slices=len(items))
        prediction.maps += [score(item) for item in items]
        return prediction

    return BenchmarkMethod(label, hash_values(label, digest), 0, run, "normal" if digest else "none")


def _find_plain_map(label: str) -> ItemMap:
    from diffad.evaluation.mirrored import draw_random_map, map_slice_asymmetry
    from diffad.evaluation.volume_baselines import map_asymmetry

    def run(item: TestItem) -> Tensor:
        image, brain = torch.from_numpy(item.image), torch.from_numpy(item.brain)
        if label == "raw intensity":
            return image * brain
        if label == "random":
            return draw_random_map(image, brain)
        return (map_asymmetry if isinstance(item.scan, Volume) else map_slice_asymmetry)(image, brain)

    return run


def _fit_slices(label: str, slices: HealthySlices) -> tuple[ItemMap, str]:
    """Return the map of a baseline of slices, and the hash of what it learnt from."""
    from diffad.evaluation.baselines import MedianResidual, PCAResidual, RobustZScore, ZScoreBaseline
    from diffad.evaluation.matched import MatchedIntensity

    digest = hash_tensors(slices.train, slices.brain)
    if label == "matched intensity":
        matched = MatchedIntensity().fit((x[0], slices.brain[0, 0]) for x in slices.train)
        return lambda item: matched.score(torch.from_numpy(item.image), torch.from_numpy(item.brain)), digest
    classes = {
        "z-score": ZScoreBaseline,
        "robust z-score": RobustZScore,
        "PCA 16": PCAResidual,
        "median of training": MedianResidual,
    }
    fitted = classes[label]().fit(slices.train, slices.brain)

    def run(item: TestItem) -> Tensor:
        x: Tensor = fitted.score(torch.from_numpy(item.image)[None, None])
        return x[0, 0] * torch.from_numpy(item.brain)

    return run, digest


def _fit_volumes(label: str, data: DataConfig) -> tuple[ItemMap, str]:
    """Return the map of a baseline of volumes, and the hash of what it learnt from, if anything."""
    from diffad.evaluation.volume_baselines import ATLASES, MAPS, VolumeMap

    score: VolumeMap
    if label in ATLASES:
        scans = _list_healthy(data)
        digest = hash_values([hash_file(path) for pair in scans for path in pair if path])
        score = ATLASES[label]().fit(_read_healthy(scans)).score
    else:
        score, digest = MAPS[label], ""

    def run(item: TestItem) -> Tensor:
        if not isinstance(item.scan, Volume):
            raise ValueError(f"{item.name}: expected a volume for the baseline {label}, got a slice")
        return score(torch.from_numpy(item.scan.data[0]).float(), torch.from_numpy(item.brain))

    return run, digest


def _list_healthy(data: DataConfig) -> list[tuple[Path, Path | None]]:
    """List the healthy scans of a benchmark with their brain masks."""
    from diffad.io.beside import find_mask_beside
    from diffad.io.search import find_scans

    paths = find_scans([Path(str(data.healthy))], None, data.healthy_mask).scans
    masks = [find_mask_beside(path, data.healthy_mask) if data.healthy_mask else None for path in paths]
    if data.healthy_mask and (bare := [p for p, m in zip(paths, masks, strict=True) if m is None]):
        raise ValueError(f"{bare[0]}: expected a brain mask {data.healthy_mask} beside it, found none")
    return list(zip(paths, masks, strict=True))


def _read_healthy(scans: Sequence[tuple[Path, Path | None]]) -> Iterator[tuple[Tensor, Tensor]]:
    from diffad.data.scan_slices import read_scan

    for path, mask in scans:
        volume, brain = read_scan(path, mask)
        yield torch.from_numpy(volume.data[0]).float(), torch.from_numpy(brain)
