"""Synthetic scans of any contrast, painted from label maps while a network trains."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from diffad.config import SpaceConfig
from diffad.config.reading import MAX_VOXELS, ReadOptions
from diffad.data.grouping import group_warnings
from diffad.data.items import DataError, TrainingItem
from diffad.data.place import SlicePlace, find_places
from diffad.data.progress import track
from diffad.data.scan_files import ScanFiles, ScanRules
from diffad.data.scan_listing import list_splits
from diffad.data.slices import axis_index
from diffad.data.space import Space
from diffad.data.splits import SHARES
from diffad.data.synthesis.contrast import CONTRASTS
from diffad.data.synthesis.head import Head
from diffad.data.synthesis.label_map import DEPTH_SCALE, LabelMap
from diffad.data.synthesis.paint import Painter
from diffad.data.synthesis.stripping import EXACT
from diffad.data.synthesis.tissues import TABLES
from diffad.data.synthesis.tissues_file import read_table
from diffad.data.volume import Array, Volume
from diffad.io.paths import is_present_file
from diffad.registry import DATASETS, unknown_name
from diffad.types import generator_for

MRI: Mapping[str, float] = {"t1": 1, "t1-like": 1, "t2": 1, "flair": 1, "pd": 0.5, "random": 1}
"""Weights of the contrasts of MR, where nothing is said."""

STREAM, WHOLE_STREAM = 7, 9
"""Streams of the randomness of an item, and of a whole head, that is asked for without a generator."""

NOMINAL = ("t1", "t2", "flair", "pd", "ct")
"""Contrasts of scanners, which whole heads are painted in; the others are for training alone."""

WHOLE_BOX, WHOLE_VOXEL = (96, 112, 96), 2.0
"""Voxels of a whole head, 192 x 224 x 192 mm, which holds any brain, and their edge in mm."""

WHITE = 1000.0
"""Intensity of the brightest tissue of a whole head in MR; its brightest voxels fit into 16 bits."""


@DATASETS.register("labels")
class LabelMaps:
    """Healthy heads in any contrast, painted from label maps, without their skull.

    Every draw of an item has a new shape, contrast, scanner and stripping; lesions among the labels become
    white matter. Intensities are windowed as those of a scan: by the whole synthetic head, measured at some
    thousand places of it, not by the slice.

    Args:
        root: Folder with the label maps, or with one folder for each split.
        split: Name of the split.
        space: Grid and intensity of the model; with the axis "volume" an item is a box of ``box`` voxels.
        csv: Table with the columns path[, subject][, split]; none lists the folder.
        pattern: Glob of the label maps below the folder, such as "**/*_dseg.nii.gz"; the default
            takes all volumes.
        table: Tissue of each label: "freesurfer", "muse", "tissue", or the path of a CSV with the columns
            label and tissue; none takes the known table that fits.
        contrast: Contrasts: "t1", "t1-like", "t2", "flair", "pd", "ct" or "random", one name, a list of them,
            or a weight for each; none takes all of MR, or CT where ``space.intensity`` is "ct".
        deform: How much shapes change, in [0, 1].
        strip: Whether strippings leave too much fluid or too little brain.
        slices: First and last (exclusive) slice, counted in RAS from the lowest with brain; none for all.
        min_brain: Smallest fraction of the grid that the brain covers in a slice that is used, in [0, 1).
        box: Voxels (I, J, K) around the middle of the brain, for the axis "volume".
        voxel: Voxel size of the box in mm; none takes that of each label map.
        shares: Fraction of the subjects by split, where neither a table nor folders say.
        split_seed: Seed of the shuffle of the subjects.
        limit: Number of label maps to use, from the first on; none for all.
        trust: Which orientation of a file is taken where it has two, "qform" or "sform"; none for sform.
        max_voxels: Most voxels of a file; one that claims more is refused.

    Raises:
        DataError: If a file is no label map of a brain or has unknown labels, or splits overlap.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        space: SpaceConfig = SpaceConfig(),  # noqa: B008 (frozen)
        csv: str | None = None,
        pattern: str = "**/*",
        table: str | None = None,
        contrast: str | Sequence[str] | Mapping[str, float] | None = None,
        deform: float = 1.0,
        strip: bool = True,
        slices: Sequence[int] | None = None,
        min_brain: float = 0.01,
        box: Sequence[int] | None = None,
        voxel: float | None = None,
        shares: Mapping[str, float] = SHARES,
        split_seed: int = 0,
        limit: int | None = None,
        trust: str | None = None,
        max_voxels: int = MAX_VOXELS,
    ) -> None:
        self.space = Space(space)
        if slices is not None and space.further_axes:
            raise DataError(
                f"expected a range of slices along one axis only, got {slices} along {space.axes}"
            )
        if not 0 <= deform <= 1:
            raise DataError(f"expected deform in [0, 1], got {deform}")
        weights = weigh_contrasts(contrast, space.intensity)
        whole_box = _check_box(box, self.space.whole)
        self.painter = Painter(self.space, weights, deform, strip, whole_box, voxel)
        rules, path = ScanRules(pattern, None, None), Path(root)
        listing = None if csv is None else (Path(csv) if is_present_file(Path(csv)) else path / csv)
        splits = list_splits(path, rules, listing, shares, split_seed, split)
        self.scans = splits[split][:limit]
        self._splits = splits
        self._options = ReadOptions(trust, max_voxels, None)
        self._table = table if table is None else (TABLES.get(table) or read_table(Path(table), path))
        self._range, self._min_brain = slices, min_brain
        self._items: list[tuple[Head, int, int, SlicePlace | None]] = []
        self._load(f"reading {split} label maps")

    def _load(self, what: str) -> None:
        scan_warnings: dict[str, Sequence[str]] = {}
        for number, scan in enumerate(track(self.scans, what)):
            label_map = self._read(scan)
            scan_warnings[str(scan.files[0])] = label_map.warnings
            for axis in self.space.config.axes:
                head = Head.cut(label_map, axis)
                keys = self._choose_slices(head, scan.files[0])
                places = self._find_places(head, keys)
                self._items += ((head, number, *item) for item in zip(keys, places, strict=True))
        for warning in group_warnings(scan_warnings, len(self.scans)):
            warnings.warn(warning, stacklevel=2)

    def _read(self, scan: ScanFiles) -> LabelMap:
        cuts = [] if self.space.whole else [axis_index(axis) for axis in self.space.config.axes]
        in_plane = [a for a in range(3) if cuts != [a]]
        return LabelMap.load(scan.files[0], self._table, self._options, in_plane)

    def _choose_slices(self, head: Head, path: Path) -> list[int]:
        if self.space.whole:
            return [0]
        cover = head.measure_brain() / self.painter.lay_grid(head).area
        first, last = self._range or (0, len(cover))
        keys = [k for k in range(first, min(last, len(cover))) if cover[k] >= max(self._min_brain, 1e-6)]
        if not keys:
            raise DataError(
                f"{path}: expected slices with brain on at least {self._min_brain:.2%} of the grid, "
                f"found at most {float(cover.max()):.2%}; lower min_brain or change slices"
            )
        return keys

    @property
    def subjects(self) -> dict[str, list[str]]:
        """Subjects of all splits."""
        return {name: [scan.subject for scan in scans] for name, scans in self._splits.items()}

    def _find_places(self, head: Head, keys: list[int]) -> Sequence[SlicePlace | None]:
        if self.space.whole:
            return [None]
        brain = head.label_map.depth <= EXACT * DEPTH_SCALE
        return find_places(torch.from_numpy(brain)[None], head.axis, keys)

    def read_scans(self, every: int = 1) -> Iterator[tuple[str, Volume, Array]]:
        """Paint every so many heads whole, each in the next of the nominal contrasts; see ``HoldsScans``.

        Calibration and domain of a model that knows contrasts of which there are no healthy scans come from
        these. Their site is "painted" with the contrast; they are stripped as the items are, perfectly with
        ``strip=False``. No window clips them: as in files of a scanner, the brightest fluid lies far above
        the rest, 1000 is about the brightest tissue of MR, and a brain has no voxel below 1; CT is in
        Hounsfield units.
        """
        heads = {number: head.label_map for head, number, *_ in self._items}
        names = [name for name, weight in self.painter.contrasts.items() if weight and name in NOMINAL]
        for turn, (number, label_map) in enumerate(list(heads.items())[::every] if names else []):
            yield self._paint_whole(label_map, number, names[turn % len(names)])

    def _paint_whole(self, label_map: LabelMap, number: int, contrast: str) -> tuple[str, Volume, Array]:
        space, items = Space(self.space.config.as_volume()), self.painter
        painter = Painter(space, {contrast: 1.0}, items.deform, items.strip, WHOLE_BOX, WHOLE_VOXEL, raw=True)
        head, generator = Head.cut(label_map, "volume"), generator_for(WHOLE_STREAM, number)
        image, mask = painter.paint(head, 0, generator)
        values = image if contrast == "ct" else (WHITE * image).clamp(min=1) * mask
        volume = Volume(values.numpy(), np.diag([WHOLE_VOXEL] * 3 + [1.0]))
        return f"painted {contrast}", volume, mask[0].numpy() > 0

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> TrainingItem:
        index = range(len(self))[index]
        return self.draw(index, generator_for(STREAM, index))

    def draw(self, index: int, generator: torch.Generator) -> TrainingItem:
        """Paint item ``index`` anew; all of it follows from the generator."""
        head, number, key, place = self._items[index]
        count = self.space.config.neighbours
        image, mask, others = self.painter.paint_beside(head, key, generator, count)
        neighbours = others if count else None
        return TrainingItem(image, mask, self.scans[number].subject, None, place, neighbours)


def weigh_contrasts(
    contrast: str | Sequence[str] | Mapping[str, float] | None, intensity: str
) -> dict[str, float]:
    """Return the weight of each contrast.

    Raises:
        UnknownNameError: If a contrast is unknown.
        DataError: If weights are no positive numbers, or CT and MR do not fit the intensities of the model.
    """
    if contrast is None:
        return {"ct": 1.0} if intensity == "ct" else dict(MRI)
    names = [contrast] if isinstance(contrast, str) else contrast
    weights = dict(names) if isinstance(names, Mapping) else dict.fromkeys(names, 1.0)
    for name in weights:
        if name not in CONTRASTS:
            raise unknown_name("contrast", name, list(CONTRASTS))
    if not weights or not all(isinstance(w, int | float) and w >= 0 for w in weights.values()):
        raise DataError(f"expected a weight of at least 0 for each contrast, got {weights}")
    if sum(weights.values()) <= 0:
        raise DataError(f"expected a contrast with a weight above 0, got {weights}")
    if intensity == "ct" and set(weights) != {"ct"}:
        raise DataError(f"expected the contrast ct, as space.intensity is ct, got {', '.join(weights)}")
    return weights


def _check_box(box: Sequence[int] | None, whole: bool) -> tuple[int, ...] | None:
    if not whole:
        if box is not None:
            raise DataError("expected data.box with space.axis=volume only, got one with slices")
        return None
    if box is None or len(box) != 3 or not all(int(n) >= 8 for n in box):
        raise DataError(f"expected data.box of three sizes of at least 8 voxels, got {box}")
    return tuple(int(n) for n in box)
