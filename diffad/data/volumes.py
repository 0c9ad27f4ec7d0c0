"""Slices, or whole volumes, of a folder or table of NIfTI scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from einops import reduce
from torch import Tensor

from diffad.config import SpaceConfig, to_dict
from diffad.data.assemble import Rules, Scan
from diffad.data.cache import Cache, CachedScan
from diffad.data.cuts import cut_slices, read_scan
from diffad.data.duplicates import hash_scan, hash_voxels, remember, report_duplicates
from diffad.data.items import SHARES, DataError, TrainingItem
from diffad.data.labels import LabelRule, Labels, lesion_mask, read_labels
from diffad.data.listing import list_splits
from diffad.data.progress import track
from diffad.data.slices import to_slices
from diffad.data.space import Space
from diffad.data.volume import Volume
from diffad.registry import DATASETS

Sliced = tuple[Tensor, Tensor, str, int | None]


@DATASETS.register("volumes")
class Volumes:
    """Slices of NIfTI volumes, cut and placed exactly as a pipeline does it, and kept in memory.

    Folders ``root/train`` and ``root/val`` are used where they exist, and so is the column "split" of a
    table; else subjects are shared out. Subjects come from the column "subject", ``sub-`` names, the
    outermost folder below ``root``, or file names, in this order. With the axis "volume" an item is a whole
    volume.

    Args:
        root: Folder with the volumes, or with one folder per split.
        split: Which part.
        space: Grid and intensity of the model.
        csv: Table with the columns path[, subject][, mask][, split]; its paths, and its own, may be relative
            to ``root``. None lists the folder.
        pattern: Glob of the volumes below the folder.
        sequences: Sequences stacked as channels, by the last word of their names ("t1", "flair") or by a
            pattern with ``*``; the files of a scan lie in one folder. None makes each file a scan.
        mask: Name of the brain mask beside a scan, "*_mask.nii.gz"; none takes non-zero voxels.
        slices: First and last (exclusive) slice, counted in RAS; none for all.
        min_brain: Share of the grid that the brain must cover for a slice to be used, in [0, 1).
        shares: Share of the subjects by split, where splits are not given.
        split_seed: Which shuffle of the subjects.
        cache: Folder that keeps prepared scans on disk; none prepares them anew at each start.
        limit: Use the first so many scans.
        labels: Where it says what is diseased: "folder" for folders "healthy" and "diseased" below the
            split; the path of a CSV with the columns file (or subject) and label; "masks" for lesion masks
            "*_lesion.nii.gz" beside the scans, or {masks: NAME}, which tell of each slice. None for none.

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
    ) -> None:
        self.space, self.slices, self.min_brain = Space(space), _checked_range(slices), min_brain
        if not 0 <= min_brain < 1:
            raise DataError(f"expected min_brain in [0, 1), got {min_brain}")
        self._rule = LabelRule.of(labels, Path(root), "*_lesion.nii.gz")
        options: dict[str, Any] = {"space": to_dict(space), "slices": self.slices, "min_brain": min_brain}
        if self._rule.masks:
            options["lesions"] = self._rule.masks
        self._cache = Cache(None if cache is None else Path(cache).expanduser(), options)
        rules = Rules(pattern, tuple(sequences) if sequences else None, mask)
        table = None if csv is None else _table(csv, Path(root))
        splits = list_splits(Path(root), rules, table, shares, split_seed, split, self._rule)
        splits = {name: scans[:limit] for name, scans in splits.items()}
        self.scans = splits[split]
        subjects = [scan.subject for scan in self.scans]
        known = read_labels(self._rule, [scan.files for scan in self.scans], subjects, Path(root), split)
        self._items = self._load(f"preparing {split} scans", known)
        report_duplicates({name: self._digests(scans) for name, scans in splits.items()}, split)

    def _load(self, what: str, known: Sequence[int | None]) -> list[Sliced]:
        items: list[Sliced] = []
        for scan, label in zip(track(self.scans, what), known, strict=True):
            prepared = self._cache.prepared(self._files(scan), lambda scan=scan: self._prepare(scan))  # type: ignore[misc]
            remember(scan.files, prepared.digest)
            if items and prepared.image.shape[1:] != items[0][0].shape:
                expected, found = tuple(items[0][0].shape), tuple(prepared.image.shape[1:])
                raise DataError(
                    f"{scan.files[0]}: expected shape {expected} as in {self.scans[0].files[0]}, got {found}"
                )
            for x, m in zip(prepared.image, prepared.mask, strict=True):
                items.append((x, m[:1], scan.subject, int(m[1:].any()) if self._rule.masks else label))
        return items

    def _prepare(self, scan: Scan) -> CachedScan:
        """Read, cut and place one scan; a second channel of the mask fills the slices with a lesion."""
        name = str(scan.files[0])
        volume, brain = read_scan(scan.files, scan.mask)
        image, inside = torch.from_numpy(volume.data), torch.from_numpy(brain)[None]
        raw = cut_slices(image, inside, self.space.config.axis, volume.spacing.tolist(), self.slices, name)
        try:
            x, mask, _ = self.space.place(raw.image, raw.brain, raw.spacing, raw.centre)
        except ValueError as error:
            raise DataError(f"{name}: {error}") from error
        cover = reduce(mask, "n ... -> n", "mean")
        keep = cover >= self.min_brain
        if not keep.any():
            expected = f"expected slices whose brain covers {self.min_brain:.2%} of the grid"
            raise DataError(f"{name}: {expected}, found {float(cover.max()):.2%} at most")
        inside = torch.cat([mask, *self._diseased(scan, volume, raw.keys, mask)], dim=1)
        return CachedScan(x[keep].contiguous(), inside[keep].to(torch.uint8), hash_voxels(volume.data))

    def _diseased(self, scan: Scan, volume: Volume, keys: list[int], like: Tensor) -> list[Tensor]:
        """Return 1 in the slices with a lesion, else 0, like the brain mask; nothing where no mask tells."""
        if (path := self._rule.lesion(scan.files)) is None:
            return []
        lesion = lesion_mask(path, volume)
        slices = lesion[None] if self.space.whole else to_slices(lesion, self.space.config.axis)[keys]
        # whole slices are filled, since a small lesion might vanish in the grid
        return [torch.stack([torch.full_like(m, bool(y.any())) for m, y in zip(like, slices, strict=True)])]

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> TrainingItem:
        image, mask, subject, label = self._items[index]
        return TrainingItem(image, mask.to(image.dtype), subject, label)

    def _files(self, scan: Scan) -> list[Path]:
        return [*scan.files, *(p for p in (scan.mask, self._rule.lesion(scan.files)) if p)]

    def _digests(self, scans: Sequence[Scan]) -> dict[Path, str]:
        found = {}
        for scan in track(scans, "comparing scans"):
            if (known := self._cache.digest(self._files(scan))) is not None:
                remember(scan.files, known)
            found[scan.files[0]] = hash_scan(scan.files)
        return found


def _table(csv: str, root: Path) -> Path:
    return Path(csv) if Path(csv).is_file() else root / csv


def _checked_range(slices: Sequence[int] | None) -> tuple[int, int] | None:
    if slices is None:
        return None
    if len(slices) != 2 or not 0 <= slices[0] < slices[1]:
        raise DataError(f"expected slices [first, last) with 0 <= first < last, got {list(slices)}")
    return slices[0], slices[1]
