"""Maps and lesion masks of a cohort brought together, where the maps were made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from diffad.evaluation.masks import BRAIN, MaskFolder
from diffad.evaluation.masks import LESION as LESION
from diffad.evaluation.reading import PredictionFiles, read_sample
from diffad.evaluation.samples import Sample
from diffad.io.naming import Naming, find_maps
from diffad.io.nifti import stem
from diffad.io.own_maps import read_scan_info
from diffad.io.paths import resolve_path
from diffad.io.search import describe_listing, list_names

MAX_NAMES = 10
"""Largest number of names in a warning."""


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
    names = [naming.name for naming in maps.values()]
    mask_folder = None
    if not masks.is_file():
        mask_folder = MaskFolder(masks, LESION, names, folder, _find_images(folder, maps))
    lesions = {name: mask_folder.find(name) if mask_folder else masks for name in names}
    if mask_folder and healthy_without_mask:
        _refuse_near(lesions, mask_folder)
    brain_folder = MaskFolder(brains, BRAIN, names, folder) if brains else None
    predictions = Predictions()
    for path, naming in maps.items():
        if (lesion := lesions[naming.name]) is None and not healthy_without_mask:
            predictions.missing.append(naming.name)
        else:
            brain = brain_folder.find(naming.name) if brain_folder else None
            scan = PredictionFiles(
                path, naming.name, lesion, brains, resample, naming.find_files(folder), brain
            )
            predictions.scans.append(scan)
    if not predictions.scans:
        name_text = list_names(predictions.missing, MAX_NAMES)
        raise ValueError(f"{masks}: expected lesion masks of {name_text}, found none that can be scored")
    _warn_of_gaps(predictions, mask_folder)
    return predictions


def _find_images(folder: Path, maps: Mapping[Path, Naming]) -> set[Path]:
    """Return where the scans lie that the maps were made of: they are no masks."""
    paths: set[Path] = set()
    for naming in maps.values():
        with suppress(ValueError):  # reading the map will say what is wrong
            info = read_scan_info(naming.find_files(folder)["info"])
            paths |= {resolve_path(Path(name)) for name in info.get("scan") or ()}
    return paths


def _refuse_near(lesions: Mapping[str, Path | None], masks: MaskFolder) -> None:
    used_masks = [path for path in lesions.values() if path]
    for name in (name for name, path in lesions.items() if path is None):
        if path := masks.find_near(name, used_masks):
            raise ValueError(
                f"{path}: expected the mask of a scan, found a name that may be of {name}, which would count "
                "as healthy; rename it after the scan, or move it away"
            )


def read_predictions(folder: Path) -> Iterator[Sample]:
    """Read what predict wrote of healthy scans, with the scans and their reconstructions.

    Raises:
        ValueError: If there is none, or a file cannot be read.
    """
    files = [PredictionFiles(p, n.name, files=n.find_files(folder)) for p, n in list_maps(folder).items()]
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


def _warn_of_gaps(predictions: Predictions, masks: MaskFolder | None) -> None:
    if masks is not None:
        lesions = [scan.lesion for scan in predictions.scans if scan.lesion]
        if names := sorted(stem(path) for path in masks.list_unused(lesions)):
            text = list_names(names, MAX_NAMES)
            predictions.warnings.append(f"lesion masks without a prediction: {text}")
        predictions.warnings += [f"{masks.folder}: {line}" for line in describe_listing(masks.listing)]
    if names := predictions.missing:
        text = list_names(names, MAX_NAMES)
        predictions.warnings.append(f"left out, as they have no lesion mask: {text}")
