"""Maps and masks of one scan, read when they are needed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np

from diffad.data.names import infer_subject_below
from diffad.data.slices import NAMES
from diffad.data.volume import Volume, VolumeError, require_same_grid
from diffad.evaluation.resample import resample_mask
from diffad.evaluation.samples import Bools, Sample
from diffad.io.naming import RESULT_SUFFIXES
from diffad.io.nifti import SUFFIXES
from diffad.io.subjects import drop_last_word

BRAIN = ("_brain_mask", "_brain", "_mask", "")


@dataclass(frozen=True)
class Located:
    """The files of one scan, to be read when they are needed.

    Args:
        path: Its anomaly map.
        name: Name of the scan.
        mask: Lesion mask, or none for a healthy scan.
        brains: Folder with brain masks, or none.
        resample: Bring masks of other grids to that of the map.
        files: What else predict wrote of the scan, by kind.
    """

    path: Path
    name: str
    mask: Path | None
    brains: Path | None
    resample: bool
    files: Mapping[str, Path] = field(default_factory=dict)

    def beside(self, kind: str) -> Path:
        """Return where another result of the scan lies."""
        return self.files.get(kind) or self.path.with_name(f"{self.name}{RESULT_SUFFIXES[kind]}")


class Samples(Sequence[Sample]):
    """Scans that are read one at a time, each when it is asked for."""

    def __init__(self, located: Sequence[Located]) -> None:
        self._located = located

    def __len__(self) -> int:
        return len(self._located)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Samples: ...
    def __getitem__(self, index: int | slice) -> Sample | Samples:
        if isinstance(index, slice):
            return Samples(self._located[index])
        sample = read_sample(self._located[index], [])
        assert sample is not None
        return sample


def read_sample(scan: Located, warnings: list[str]) -> Sample | None:
    """Read one scan; none if its lesion lies wholly outside what was looked at.

    Raises:
        VolumeError: If a file cannot be read, or does not fit the map.
    """
    path, name, resample = scan.path, scan.name, scan.resample
    anomaly, info = Volume.load(path, allow_constant=True), _info(scan.beside("info"))
    inside = _region(scan, anomaly, info)
    lesion = np.zeros_like(inside) if scan.mask is None else _binary(scan.mask, anomaly, warnings, resample)
    total, seen = int(lesion.sum()), int((lesion & inside).sum())
    if seen < total:
        warnings.append(
            f"{name}: {total - seen} of {total} lesion voxels lie outside what was looked at and do not count"
        )
    if total and not seen:
        warnings.append(f"{name}: left out, as none of its lesion was looked at")
        return None
    return Sample(
        name=name,
        subject=infer_subject_below(path, path.parent) or name,
        scores=anomaly.data[0],
        truth=lesion,
        brain=inside,
        spacing=tuple(float(edge) for edge in anomaly.spacing),
        axis=NAMES.get(info.get("axis", "")),
        detected=_detections(scan.beside("mask"), anomaly, warnings),
        image_score=info.get("image_score"),
    )


def _info(path: Path) -> dict[str, Any]:
    try:
        info: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise VolumeError(f"{path}: expected what predict stored, found {error}") from error
    return info


def _region(scan: Located, like: Volume, info: dict[str, Any]) -> Bools:
    """Return the voxels (I, J, K) that are scored."""
    path, name, brains, resample = scan.path, scan.name, scan.brains, scan.resample
    seen = scan.beside("seen")
    brain = find_mask(name, brains, BRAIN) if brains else seen if seen.is_file() else None
    if brain is None:
        where = f"a brain mask of {name} in {brains}" if brains else f"{seen.name} beside it, or --brains"
        raise VolumeError(f"{path}: expected {where}, to know where to score, found none")
    inside = _binary(brain, like, [], resample)
    if brains and info.get("slice_range") and info.get("axis") in NAMES:
        first, last = info["slice_range"]
        index = np.arange(inside.shape[NAMES[info["axis"]]])
        keep = np.expand_dims(
            (first <= index) & (index < last), [a for a in range(3) if a != NAMES[info["axis"]]]
        )
        inside = inside & keep
    if not inside.any():
        raise VolumeError(f"{brain}: expected voxels above 0 among the slices looked at, found none")
    return inside


def _binary(path: Path, like: Volume, warnings: list[str], resample: bool = False) -> Bools:
    """Read a mask (I, J, K), which may be empty; voxels above 0 are inside."""
    volume = Volume.load(path, allow_constant=True)
    volume = resample_mask(volume, like, warnings) if resample else volume
    require_same_grid(volume, like)
    if len(volume.data) != 1:
        raise VolumeError(f"{path}: expected a mask of one channel, found {len(volume.data)}")
    if odd := np.setdiff1d(np.unique(volume.data), (0, 1)).tolist():
        shown = ", ".join(f"{v:g}" for v in odd[:4]) + (", ..." if len(odd) > 4 else "")
        warnings.append(
            f"{path}: voxels above 0 count as lesion, and there are other values than 0 and 1: {shown}"
        )
    inside: Bools = volume.data[0] > 0
    return inside


def _detections(path: Path, like: Volume, warnings: list[str]) -> Bools | None:
    if path.is_file():
        return _binary(path, like, [])
    warnings.append(f"{path}: not found, so there is no Dice at the stored threshold")
    return None


def find_mask(name: str, folder: Path, ends: Sequence[str], but: Path | None = None) -> Path | None:
    """Find the mask of a scan in a folder and those in it, without ``but``; whole names go before short ones.

    Raises:
        ValueError: If several files claim to be it.
    """
    for base in (name, drop_last_word(name)):
        for group in (ends[:-1], ends[-1:]):
            names = [f"{base}{end}{suffix}" for end in group for suffix in SUFFIXES]
            hits = sorted(
                p
                for n in names
                for p in folder.rglob(n)
                if but is None or p.parent.resolve() != but.resolve()
            )
            if len(hits) > 1:
                raise ValueError(f"expected one mask for {name}, found {hits[0]} and {hits[1]}")
            if hits:
                return hits[0]
    return None
