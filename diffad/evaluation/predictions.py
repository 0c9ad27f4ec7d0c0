"""Maps and lesion masks of a cohort brought together, where the maps were made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from diffad.evaluation.reading import PredictionFiles, find_mask, read_sample
from diffad.evaluation.samples import Sample
from diffad.io.naming import Naming, find_maps
from diffad.io.nifti import SUFFIXES, stem

LESION = ("_lesion", "_lesions", "_seg", "_label", "_labels", "_mask", "")
"""Ends of the names of lesion masks; the bare name of the scan counts only if no other is there."""


@dataclass
class Predictions:
    """Scans with a map and a lesion mask.

    Args:
        scans: Their files.
        missing: Names of the scans without a lesion mask, which are left out.
        warnings: What a reader should know; reading adds to it.
    """

    scans: list[PredictionFiles] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def read(self, with_images: bool = False) -> Iterator[Sample]:
        """Read one scan after the other; one whose lesion lies wholly outside what was analysed is left out.

        Args:
            with_images: Read the scans themselves and their reconstructions, too.

        Raises:
            VolumeError: If a file cannot be read, or does not fit the map.
        """
        for scan in self.scans:
            sample = read_sample(scan, self.warnings, with_images)
            if sample is not None:
                yield sample


def collect_predictions(
    folder: Path,
    masks: Path,
    brains: Path | None = None,
    healthy_without_mask: bool = False,
    resample: bool = False,
) -> Predictions:
    """Pair the ``NAME_anomaly.nii.gz`` of a folder, or the maps of a BIDS derivative, with lesion masks.

    A scan is scored in ``NAME_seen.nii.gz``, the part of the brain that was analysed; with ``brains`` in
    that brain mask, cut to the slices in ``NAME_info.json``.

    Args:
        folder: Folder with the maps.
        masks: Folder with lesion masks, or the mask of the only scan.
        brains: Folder with brain masks.
        healthy_without_mask: Take scans without a lesion mask for healthy; otherwise they are left out.
        resample: Bring masks of other grids to that of the map, to the nearest voxel; otherwise an error.

    Raises:
        ValueError: If nothing can be paired, or a name is ambiguous.
    """
    maps = list_maps(folder)
    if not masks.exists():
        raise ValueError(f"{masks}: expected lesion masks, found no such file or folder")
    if masks.is_file() and len(maps) > 1:
        raise ValueError(
            f"{masks}: expected a folder of lesion masks for {len(maps)} scans, found a single file"
        )
    predictions = Predictions()
    for path, naming in maps.items():
        lesion = masks if masks.is_file() else find_mask(naming.name, masks, LESION, but=folder)
        if lesion is None and not healthy_without_mask:
            predictions.missing.append(naming.name)
        else:
            scan = PredictionFiles(path, naming.name, lesion, brains, resample, naming.files(folder))
            predictions.scans.append(scan)
    if not predictions.scans:
        names = ", ".join(predictions.missing)
        raise ValueError(f"{masks}: expected lesion masks of {names}, found none that can be scored")
    _warn_of_gaps(predictions, folder, masks)
    return predictions


def read_predictions(folder: Path) -> Iterator[Sample]:
    """Read what predict wrote of healthy scans, with the scans and their reconstructions.

    Raises:
        ValueError: If there is none, or a file cannot be read.
    """
    files = [PredictionFiles(p, n.name, files=n.files(folder)) for p, n in list_maps(folder).items()]
    yield from Predictions(files).read(with_images=True)


def list_maps(folder: Path) -> dict[Path, Naming]:
    """List the maps of a folder.

    Raises:
        ValueError: If there is none, or two of one name.
    """
    maps = find_maps(folder)
    if not maps:
        raise ValueError(f"{folder}: expected maps NAME_anomaly.nii.gz, as predict writes them, found none")
    counts = Counter(naming.name for naming in maps.values())
    for name in (name for name, count in counts.items() if count > 1):
        first, second, *_ = (path for path, naming in maps.items() if naming.name == name)
        raise ValueError(f"{folder}: expected one map of {name}, found {first} and {second}")
    return maps


def _warn_of_gaps(predictions: Predictions, folder: Path, masks: Path) -> None:
    if names := _list_unpaired(predictions, folder, masks):
        predictions.warnings.append(f"lesion masks without a prediction: {', '.join(names)}")
    if names := predictions.missing:
        predictions.warnings.append(f"left out, as they have no lesion mask: {', '.join(names)}")


def _list_unpaired(predictions: Predictions, folder: Path, masks: Path) -> list[str]:
    """Name the lesion masks that belong to no map; files not named like a lesion mask are passed over."""
    if masks.is_file():
        return []
    pairs = {scan.lesion.resolve() for scan in predictions.scans if scan.lesion}
    paths = (path for suffix in SUFFIXES for path in masks.rglob(f"*{suffix}"))
    others = (p for p in paths if folder.resolve() not in p.resolve().parents and p.resolve() not in pairs)
    names = (stem(p) for p in others if not p.name.startswith("."))
    return sorted(name for name in names if name.endswith(LESION[:5]))
