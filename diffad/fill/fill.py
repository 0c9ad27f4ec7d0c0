"""One scan filled: the hole closed smoothly, then re-sampled by a network, given all the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from diffad.config import ConfigError, load
from diffad.data.slices import axis_index
from diffad.data.volume import Array, Volume
from diffad.fill.lesion import FillRegion, plan_region, read_lesion
from diffad.fill.result import FilledScan, measure_rim_step
from diffad.fill.simple import fill_harmonic
from diffad.inference.scan import ScanSource, read_source
from diffad.io.stages import run_stage
from diffad.pipeline import AnomalyPipeline

LEVEL = 60
"""Where re-sampling starts: on healthy scans, higher levels of the shipped networks filled worse."""


@dataclass(frozen=True)
class FillOptions:
    """How a scan is filled.

    Args:
        dilate: How far the mask grows first, in mm.
        feather: Width of the border in the region over which the fill fades into the scan, in voxels.
        members: Fills that are made, whose mean is taken.
        level: Noise level that re-sampling starts at; none for 60.
        steps: Moves from there to the clean scan.
        repeats: Times that each move is made, with a jump back up between.
        seed: Seed of all noise; members have the seeds that follow.
        batch_size: Slices per network evaluation.

    Raises:
        ValueError: If a number is out of range.
    """

    dilate: float = 2.0
    feather: int = 0
    members: int = 1
    level: int | None = None
    steps: int = 3
    repeats: int = 1
    seed: int = 0
    batch_size: int = 8

    def __post_init__(self) -> None:
        if not 0 <= self.dilate <= 50:
            raise ValueError(f"dilate: expected 0 to 50 mm, got {self.dilate:g}")
        least = {"feather": 0, "members": 1, "steps": 1, "repeats": 1, "seed": 0, "batch_size": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name}: expected at least {low}, got {getattr(self, name)}")
        if self.level is not None and self.level < 1:
            raise ValueError(f"level: expected at least 1, got {self.level}")


def fill_scan(
    pipe: AnomalyPipeline,
    scan: str | Path | Volume,
    lesion: str | Path | Volume | Array,
    brain: Any = None,
    options: FillOptions = FillOptions(),
) -> FilledScan:
    r"""Replace a lesion by tissue that a network of healthy brains expects there.

    The region is first filled harmonically from the brain around it, so that nothing of the lesion is seen:
    neither by the network nor by the intensity window. That is noised to the starting level and re-sampled
    inside the region, while the brain around it is known at every level (RePaint). Outside the region the
    scan stays bit for bit.

    Args:
        pipe: The model, of one sequence.
        scan: The scan, a path or a volume.
        lesion: What is replaced: a mask as a path, a volume, or an array (I, J, K) on the grid of the scan.
        brain: Brain mask, alike; none takes the non-zero voxels.
        options: How it is filled.

    Raises:
        ValueError: If the scan, a mask or an option cannot be used.

    Reference:
        RePaint (Lugmayr et al., 2022); The Brain Tumor Segmentation Challenge 2023: Local Synthesis of
        Healthy Brain Tissue via Inpainting (Kofler et al., 2023).
    """
    source = read_source(scan if isinstance(scan, Volume) else Volume.load(scan), brain)
    if source.image.shape[1] != 1 or pipe.channels != 1:
        raise ValueError(f"{source.name}: expected one sequence and a model of one, got several")
    assert source.volume is not None
    mask, notes = read_lesion(lesion, source.volume)
    region = plan_region(mask, source.brain[0, 0].numpy(), source.volume, options.dilate)
    with run_stage("closing the hole"):
        start = close_region(source.volume, region)
    return sample_region(pipe, source, region, start, options, notes)


def close_region(volume: Volume, region: FillRegion) -> Array:
    """Return the scan with its region filled harmonically, (I, J, K)."""
    context = region.brain & ~region.fill_mask & (volume.data[0] != 0)
    return fill_harmonic(volume.data[0], region.fill_mask, context, volume.spacing)


def sample_region(
    pipe: AnomalyPipeline,
    source: ScanSource,
    region: FillRegion,
    start: Array,
    options: FillOptions,
    notes: list[str],
) -> FilledScan:
    """Re-sample a region that was closed, and gather what is known of it; see ``fill_scan``.

    Args:
        pipe: The model.
        source: The scan.
        region: What is filled.
        start: The scan with the region closed, (I, J, K).
        options: How it is filled.
        notes: What a reader should know already.
    """
    volume = source.volume
    assert volume is not None
    closed_scan = Volume(start[None], volume.affine, volume.origin)
    top = find_top_level(pipe)
    level = options.level or min(LEVEL, top)
    if level > top:
        notes = [
            *notes,
            f"re-sampling starts at level {level}, beyond {top}, the highest that is known to be trained",
        ]
    call = describe_call(pipe, region, level, options)
    members, nfe = [], 0
    for member in range(options.members):
        with run_stage("filling"):
            output = pipe(closed_scan, region.brain, seed=options.seed + member, **call)
        members.append(output.reconstruction[0, 0].numpy())
        nfe += int(output.info["nfe"])
    mean = np.asarray(np.mean(members, axis=0, dtype=np.float64))
    image = _blend(volume.data[0], mean, region, options.feather)
    std = np.where(region.fill_mask, np.std(members, axis=0), 0).astype(np.float32)
    facts = _describe_fill(pipe, options, level, nfe, region, volume)
    rim = {"rim_step": round(measure_rim_step(image, region), 4)}
    warnings = [*source.warnings, *notes, *region.warnings, *drop_map_warnings(output.info)]
    info = facts | rim | {"warnings": list(dict.fromkeys(warnings))}
    return FilledScan(volume, image, region, std if options.members > 1 else None, info)


def drop_map_warnings(info: Mapping[str, Any]) -> list[str]:
    """Return the warnings of a result without those that are about its map, which say nothing of a fill."""
    about_map = info.get("map_warnings", ())
    return [text for text in info.get("warnings", ()) if text not in about_map]


def find_top_level(pipe: AnomalyPipeline) -> int:
    """Return the highest noise level that a shipped network was trained on; of others, the highest of all."""
    top = int(pipe.scheduler.config.num_train_timesteps)
    name = str((pipe.config.provenance or {}).get("name", ""))
    try:
        return min(load(name.replace("-", "_")).train.levels[1], top)
    except (ConfigError, OSError, ValueError):
        return top


def describe_call(
    pipe: AnomalyPipeline, region: FillRegion, level: int, options: FillOptions
) -> dict[str, Any]:
    """Say how a pipeline is called to sample a region again: where, from which level, and in which slices.

    Args:
        pipe: The model.
        region: What is sampled.
        level: Level that it starts at.
        options: Moves, their repeats, and slices of a batch.
    """
    first = {"name": "oneshot", "levels": [level]}
    moves = {"level": level, "steps": min(options.steps, level), "repeats": options.repeats}
    sampler = {"name": "resampled", "coarse": first, "score": {"name": "l1"}, "start": "stitched", **moves}
    call: dict[str, Any] = {"sampler": sampler, "score": {"name": "l1"}, "noise_across": "scan"}
    axis = str(pipe.config.space["axis"])
    if axis != "volume":
        planes = np.flatnonzero(region.fill_mask.any(tuple(a for a in range(3) if a != axis_index(axis))))
        call["slices"] = (int(planes[0]), int(planes[-1]) + 1)
    return call | {
        "region": region.fill_mask.astype(np.float32),
        "threshold": 1.0,
        "batch_size": options.batch_size,
    }


def _blend(scan: Array, fill: Array, region: FillRegion, feather: int) -> Array:
    """Lay a fill into the scan, fading over some voxels within the region; the scan stays outside."""
    weight = np.ones(fill.shape)
    if feather:
        depth = ndimage.distance_transform_edt(region.fill_mask)
        weight = np.clip(depth / (feather + 1), 0, 1)
    blend = weight * fill + (1 - weight) * scan
    return np.where(region.fill_mask, blend.astype(np.float32), scan)


def _describe_fill(
    pipe: AnomalyPipeline, options: FillOptions, level: int, nfe: int, region: FillRegion, volume: Volume
) -> dict[str, Any]:
    return {
        "model": str((pipe.config.provenance or {}).get("name", "unnamed")),
        "level": level,
        "steps": min(options.steps, level),
        "repeats": options.repeats,
        "seed": options.seed,
        "members": options.members,
        "nfe": nfe,
        "dilate_mm": options.dilate,
        "feather": options.feather,
        "share": round(region.share, 5),
        "filled_ml": round(float(region.fill_mask.sum()) * volume.voxel_ml, 3),
    }
