"""Slices, or whole volumes, of a folder or table of NIfTI scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from einops import reduce
from torch import Tensor

from diffad.config import SpaceConfig, to_dict
from diffad.data.assemble import Rules, Scan
from diffad.data.cache import Cache, Prepared
from diffad.data.cuts import cut, read_scan
from diffad.data.duplicates import content, digest, remember, report
from diffad.data.items import SHARES, DataError, Item
from diffad.data.listing import list_splits
from diffad.data.progress import track
from diffad.data.space import Space
from diffad.registry import DATASETS


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

    Raises:
        DataError: If a scan cannot be used (none is skipped), scans do not fit together, or splits overlap.
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
    ) -> None:
        self.space, self.slices, self.min_brain = Space(space), _checked_range(slices), min_brain
        if not 0 <= min_brain < 1:
            raise DataError(f"expected min_brain in [0, 1), got {min_brain}")
        options = {"space": to_dict(space), "slices": self.slices, "min_brain": min_brain}
        self._cache = Cache(None if cache is None else Path(cache).expanduser(), options)
        rules = Rules(pattern, tuple(sequences) if sequences else None, mask)
        table = None if csv is None else _table(csv, Path(root))
        splits = list_splits(Path(root), rules, table, shares, split_seed, split)
        splits = {name: scans[:limit] for name, scans in splits.items()}
        self.scans = splits[split]
        self._items = self._load(f"preparing {split} scans")
        report({name: _digests(scans, self._cache) for name, scans in splits.items()}, split)

    def _load(self, what: str) -> list[tuple[Tensor, Tensor, str]]:
        items: list[tuple[Tensor, Tensor, str]] = []
        for scan in track(self.scans, what):
            prepared = self._cache.prepared(_files(scan), lambda scan=scan: self._prepare(scan))  # type: ignore[misc]
            remember(scan.files, prepared.digest)
            if items and prepared.image.shape[1:] != items[0][0].shape:
                expected, found = tuple(items[0][0].shape), tuple(prepared.image.shape[1:])
                raise DataError(
                    f"{scan.files[0]}: expected shape {expected} as in {self.scans[0].files[0]}, got {found}"
                )
            items += [(x, m, scan.subject) for x, m in zip(prepared.image, prepared.mask, strict=True)]
        return items

    def _prepare(self, scan: Scan) -> Prepared:
        """Read, cut and place one scan."""
        name = str(scan.files[0])
        volume, brain = read_scan(scan.files, scan.mask)
        image, inside = torch.from_numpy(volume.data), torch.from_numpy(brain)[None]
        raw = cut(image, inside, self.space.config.axis, volume.spacing.tolist(), self.slices, name)
        try:
            x, mask, _ = self.space.place(raw.image, raw.brain, raw.spacing, raw.centre)
        except ValueError as error:
            raise DataError(f"{name}: {error}") from error
        cover = reduce(mask, "n ... -> n", "mean")
        keep = cover >= self.min_brain
        if not keep.any():
            expected = f"expected slices whose brain covers {self.min_brain:.2%} of the grid"
            raise DataError(f"{name}: {expected}, found {float(cover.max()):.2%} at most")
        return Prepared(x[keep].contiguous(), mask[keep].to(torch.uint8), digest(volume.data))

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Item:
        image, mask, subject = self._items[index]
        return Item(image, mask.to(image.dtype), subject)


def _files(scan: Scan) -> list[Path]:
    return [*scan.files, *([scan.mask] if scan.mask else [])]


def _table(csv: str, root: Path) -> Path:
    return Path(csv) if Path(csv).is_file() else root / csv


def _checked_range(slices: Sequence[int] | None) -> tuple[int, int] | None:
    if slices is None:
        return None
    if len(slices) != 2 or not 0 <= slices[0] < slices[1]:
        raise DataError(f"expected slices [first, last) with 0 <= first < last, got {list(slices)}")
    return slices[0], slices[1]


def _digests(scans: Sequence[Scan], cache: Cache) -> dict[Path, str]:
    found = {}
    for scan in track(scans, "comparing scans"):
        if (known := cache.digest(_files(scan))) is not None:
            remember(scan.files, known)
        found[scan.files[0]] = content(scan.files)
    return found
