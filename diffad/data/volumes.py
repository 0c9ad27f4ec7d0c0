"""Slices, or whole volumes, of a folder or table of NIfTI scans."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from einops import reduce
from torch import Tensor

from diffad.config import SpaceConfig, to_dict
from diffad.config.reading import MAX_VOXELS, ReadOptions
from diffad.data.cache import Cache, CachedScan
from diffad.data.duplicates import hash_scan, hash_voxels, remember, report_duplicates
from diffad.data.grouping import group_warnings
from diffad.data.items import DataError, TrainingItem
from diffad.data.labels import LabelRule, Labels, load_lesion_mask, read_labels
from diffad.data.place import read_places, tabulate_places
from diffad.data.placed_slices import PlacedSlices, join_slices, list_neighbour_views
from diffad.data.progress import track
from diffad.data.scan_files import ScanFiles, ScanRules
from diffad.data.scan_listing import list_splits
from diffad.data.scan_slices import cut_slices, read_scan
from diffad.data.slices import to_slices
from diffad.data.space import Space
from diffad.data.splits import SHARES
from diffad.data.volume import Array, Volume
from diffad.io.paths import is_present_file
from diffad.registry import DATASETS


@DATASETS.register("volumes")
class Volumes:
    """Slices of NIfTI volumes, cut and placed exactly as a pipeline does it, in memory.

    Folders ``root/train`` and ``root/val`` are used where they exist, and so is the column "split" of a
    table; else subjects are split at random. Subjects come from the column "subject", ``sub-`` names, the
    outermost folder below ``root``, or file names, in this order. With the axis "volume" an item is a whole
    volume.

    Args:
        root: Folder with the volumes, or with one folder for each split.
        split: Name of the split.
        space: Grid and intensity of the model.
        csv: Table with the columns path[, subject][, mask][, split][, site]. Its path, and the paths in it,
            may be relative to ``root``. None lists the folder.
        pattern: Glob of the volumes below the folder; the default takes volumes of every suffix, and leaves
            out maps of ours and what is no scan by its BIDS name.
        sequences: Sequences stacked as channels, by the last word of their names ("t1", "flair") or by a
            pattern with ``*``; the files of a scan lie in one folder. None makes each file a scan.
        mask: Name of the brain mask beside a scan, such as "*_mask.nii.gz"; none takes non-zero voxels.
        slices: First and last (exclusive) slice, counted in RAS; none for all.
        min_brain: Smallest fraction of the grid that the brain covers in a slice that is used, in [0, 1).
        shares: Fraction of the subjects by split, where neither a table nor folders say.
        split_seed: Seed of the shuffle of the subjects.
        cache: Folder of prepared scans on disk; none prepares them again at each start.
        limit: Number of scans to use, from the first on; none for all.
        labels: What says which scans are diseased: "folder" for folders "healthy" and "diseased" below the
            split; the path of a CSV with the columns file (or subject) and label; "masks" for lesion masks
            "*_lesion.nii.gz" beside the scans, or {masks: NAME}, which label each slice. None for no labels.
        trust: Which orientation of a file is taken where it has two, "qform" or "sform"; none for sform.
        max_voxels: Most voxels of a file, over all channels; one that claims more is refused.
        mask_threshold: What of a brain mask lies above it is brain; none takes 0, or .5 of probabilities.

    Raises:
        DataError: If a scan cannot be used (none is skipped), scans do not fit together, splits overlap, or
            labels are missing or unknown.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        space: SpaceConfig = SpaceConfig(),  # noqa: B008 (frozen)
        csv: str | None = None,
        pattern: str = "**/*.nii*",
        sequences: Sequence[str] | None = None,
        mask: str | None = None,
        slices: Sequence[int] | None = None,
        min_brain: float = 0.01,
        shares: Mapping[str, float] = SHARES,
        split_seed: int = 0,
        cache: str | None = None,
        limit: int | None = None,
        labels: Labels = None,
        trust: str | None = None,
        max_voxels: int = MAX_VOXELS,
        mask_threshold: float | None = None,
    ) -> None:
        self.reading = ReadOptions(trust, max_voxels, mask_threshold)
        self.space, self.slices, self.min_brain = Space(space), _check_range(slices), min_brain
        if slices is not None and space.further_axes:
            raise DataError(
                f"expected a range of slices along one axis only, got {slices} along {space.axes}"
            )
        if not 0 <= min_brain < 1:
            raise DataError(f"expected min_brain in [0, 1), got {min_brain}")
        self._rule = LabelRule.parse(labels, Path(root), "*_lesion.nii.gz")
        options: dict[str, Any] = {"space": to_dict(space), "slices": self.slices, "min_brain": min_brain}
        if self._rule.masks:
            options["lesions"] = self._rule.masks
        options |= {"trust": trust} if trust else {}
        options |= {} if mask_threshold is None else {"mask_threshold": mask_threshold}
        self._cache = Cache(None if cache is None else Path(cache).expanduser(), options)
        rules = ScanRules(pattern, tuple(sequences) if sequences else None, mask)
        table = None if csv is None else _find_table(csv, Path(root))
        splits = list_splits(Path(root), rules, table, shares, split_seed, split, self._rule)
        splits = {name: scans[:limit] for name, scans in splits.items()}
        self.scans, self._splits = splits[split], splits
        subjects = [scan.subject for scan in self.scans]
        scan_labels = read_labels(
            self._rule, [scan.files for scan in self.scans], subjects, Path(root), split
        )
        self._items: list[TrainingItem] = self._load(f"preparing {split} scans", scan_labels)
        report_duplicates({name: self._collect_digests(scans) for name, scans in splits.items()}, split)

    def _load(self, what: str, labels: Sequence[int | None]) -> list[TrainingItem]:
        items: list[TrainingItem] = []
        scan_warnings: dict[str, Sequence[str]] = {}
        self._neighbours: list[list[Tensor]] = []
        self.slice_counts: list[int] = []
        """Slices of each scan that are items, in their order."""
        for scan, label in zip(track(self.scans, what), labels, strict=True):
            cached_scan = self._cache.load_or_make(
                self._list_files(scan),
                lambda scan=scan: self._prepare(scan),  # type: ignore[misc]
            )
            remember(scan.files, cached_scan.digest)
            scan_warnings[str(scan.files[0])] = cached_scan.warnings
            if items and cached_scan.image.shape[1:] != items[0].image.shape:
                raise DataError(
                    f"{scan.files[0]}: expected shape {tuple(items[0].image.shape)} as of "
                    f"{self.scans[0].files[0]}, found {tuple(cached_scan.image.shape[1:])}"
                )
            self.slice_counts.append(len(cached_scan.image))
            items += self._make_items(cached_scan, scan.subject, label)
        for warning in group_warnings(scan_warnings, len(self.scans)):
            warnings.warn(warning, stacklevel=2)
        return items

    def _make_items(self, scan: CachedScan, subject: str, label: int | None) -> list[TrainingItem]:
        """Return the slices of a scan as items whose masks are bytes, as they take less memory."""
        self._neighbours += list_neighbour_views(scan)
        slices = zip(scan.image, scan.mask, read_places(scan.places), strict=True)
        by_slice = self._rule.masks
        return [
            TrainingItem(x, m[:1], subject, int(m[1:].any()) if by_slice else label, place)
            for x, m, place in slices
        ]

    def _prepare(self, scan: ScanFiles) -> CachedScan:
        """Read, cut and place one scan; a second channel of the mask is 1 in all slices with a lesion."""
        volume, brain = read_scan(Volume.load(scan.files, options=self.reading), scan.mask)
        image, region = torch.from_numpy(volume.data), torch.from_numpy(brain)[None]
        parts = [self._place_slices(scan, volume, image, region, axis) for axis in self.space.config.axes]
        return self._choose_slices(join_slices(parts), volume)

    def _place_slices(
        self, scan: ScanFiles, volume: Volume, image: Tensor, region: Tensor, axis: str
    ) -> PlacedSlices:
        """Cut a volume along one axis, and bring the slices into the space of the model."""
        name, count = str(scan.files[0]), self.space.config.neighbours
        raw = cut_slices(image, region, axis, volume.spacing.tolist(), self.slices, name, neighbours=count)
        try:
            window = self.space.window(image, region)  # of the whole scan, as in use
            x, mask, placement = self.space.place(raw.image, raw.brain, raw.spacing, raw.centre, window)
        except ValueError as error:
            raise DataError(f"{name}: {error}") from error
        marks = self._mark_lesions(scan, volume, axis, raw.keys, mask)
        places = tabulate_places(raw.list_places())
        further = None if raw.neighbours is None else self.space.place_further(raw.neighbours, placement)
        rows = None if raw.neighbours is None else raw.neighbours.rows
        return PlacedSlices(x, torch.cat([mask, *marks], dim=1), places, further, rows)

    def _choose_slices(self, slices: PlacedSlices, volume: Volume) -> CachedScan:
        """Keep the slices that show enough brain."""
        mask = slices.mask[:, :1]
        cover = reduce(mask, "n ... -> n", "mean")
        keep = cover >= self.min_brain
        if not keep.any():
            raise DataError(
                f"{volume.name}: expected slices with brain on at least {self.min_brain:.2%} of the grid, "
                f"found at most {float(cover.max()):.2%}; lower min_brain or check the mask"
            )
        return slices.keep(keep, hash_voxels(volume.data), volume.warnings)

    def _mark_lesions(
        self, scan: ScanFiles, volume: Volume, axis: str, keys: list[int], like: Tensor
    ) -> list[Tensor]:
        """Return 1 in the slices with a lesion, else 0, like the brain mask; nothing without lesion masks."""
        if (path := self._rule.find_lesion(scan.files)) is None:
            return []
        lesion = load_lesion_mask(path, volume)
        slices = lesion[None] if self.space.whole else to_slices(lesion, axis)[keys]
        # whole slices are marked, since a small lesion might vanish in the grid
        return [torch.stack([torch.full_like(m, bool(y.any())) for m, y in zip(like, slices, strict=True)])]

    def read_scans(self, every: int = 1) -> Iterator[tuple[str, Volume, Array]]:
        """Read scans that are not labelled as diseased, whole: their site, volume and brain mask.

        Args:
            every: Distance of the scans that are read; 1 reads all.
        """
        ends = list(accumulate(self.slice_counts))
        for scan, count, end in list(zip(self.scans, self.slice_counts, ends, strict=True))[::every]:
            if not any(item.label == 1 for item in self._items[end - count : end]):
                volume = Volume.load(scan.files, options=self.reading)
                yield scan.site, *read_scan(volume, scan.mask, self.reading.mask_threshold)

    @property
    def subjects(self) -> dict[str, list[str]]:
        """Subjects of all splits."""
        return {name: [scan.subject for scan in scans] for name, scans in self._splits.items()}

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> TrainingItem:
        item = self._items[index]
        mask, views = item.mask.to(item.image.dtype), self._neighbours[index]
        neighbours = torch.cat(views) * mask if views else None
        return replace(item, mask=mask, neighbours=neighbours)

    def _list_files(self, scan: ScanFiles) -> list[Path]:
        return [*scan.files, *(p for p in (scan.mask, self._rule.find_lesion(scan.files)) if p)]

    def _collect_digests(self, scans: Sequence[ScanFiles]) -> dict[Path, str]:
        digests = {}
        for scan in track(scans, "comparing scans"):
            if (digest := self._cache.read_digest(self._list_files(scan))) is not None:
                remember(scan.files, digest)
            digests[scan.files[0]] = hash_scan(scan.files)
        return digests


def _find_table(csv: str, root: Path) -> Path:
    return Path(csv) if is_present_file(Path(csv)) else root / csv


def _check_range(slices: Sequence[int] | None) -> tuple[int, int] | None:
    if slices is None:
        return None
    if len(slices) != 2 or not 0 <= slices[0] < slices[1]:
        raise DataError(f"expected slices [first, last] with 0 <= first < last, got {list(slices)}")
    return slices[0], slices[1]
