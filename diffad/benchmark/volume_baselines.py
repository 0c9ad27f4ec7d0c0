"""The naive baselines of whole volumes as rows of a benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from diffad.benchmark.config import DataConfig, hash_values
from diffad.benchmark.items import TestItem
from diffad.benchmark.prediction import BenchmarkMethod, Prediction
from diffad.data.volume import Volume
from diffad.io.digests import hash_file


def load_volume_baseline(label: str, data: DataConfig) -> BenchmarkMethod:
    """Fit a baseline of whole volumes on the healthy scans of a benchmark.

    Raises:
        ValueError: If there are none, or a scan cannot be used.
    """
    from diffad.evaluation.volume_baselines import ATLASES, MAPS, VolumeMap

    score: VolumeMap
    if label in ATLASES:
        scans = _list_healthy(data)
        digest = hash_values([hash_file(path) for pair in scans for path in pair if path])
        score = ATLASES[label]().fit(_read_healthy(scans)).score
    else:
        score, digest = MAPS[label], ""

    def run(items: Sequence[TestItem], seed: int) -> Prediction:
        prediction = Prediction(slices=len(items))
        for item in items:
            if not isinstance(item.scan, Volume):
                raise ValueError(f"{item.name}: expected a volume for the baseline {label}, got a slice")
            image = torch.from_numpy(item.scan.data[0]).float()
            prediction.maps.append(score(image, torch.from_numpy(item.brain)))
        return prediction

    supervision = "normal" if digest else "none"
    return BenchmarkMethod(label, hash_values(label, digest), 0, run, supervision)


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
