"""The atlas of places: a label map in the space of the template, and the table that says what a label is."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np

from diffad.data.volume import Array

FOLDER = Path(__file__).parent
LABELS_FILE, TABLE_FILE = FOLDER / "places.nii.gz", FOLDER / "places.tsv"
"""The map and its table; the README beside them says what they are made of."""
ZONES = ("periventricular", "juxtacortical", "infratentorial")
"""Zones of the diagnostic criteria of multiple sclerosis that a place may lie in, see ``Region``."""

SURFACE = "surface"
"""Tissue of what lies just outside the brain of the atlas."""


@dataclass(frozen=True)
class Region:
    """What one label of the atlas stands for.

    A periventricular place is white matter within 5 mm of a lateral ventricle, a juxtacortical one white
    matter within 3 mm of the cortex: in the criteria such lesions touch them, which the registration of a
    head cannot tell to the millimetre. Cerebellum and brain stem are infratentorial.

    Args:
        index: Value in the map.
        side: "left" or "right" of the person, or "" for what lies in the middle.
        structure: Lobe or structure.
        tissue: "cortex", "white matter", "deep grey matter", "brain stem", "fluid", or "surface" for what
            lies just outside the brain of the atlas.
        zones: Names of the zones that it lies in, see ``ZONES``.

    Reference:
        Diagnosis of multiple sclerosis: 2017 revisions of the McDonald criteria (Thompson et al., 2018);
        Assessment of lesions on magnetic resonance imaging in multiple sclerosis (Filippi et al., 2019).
    """

    index: int
    side: str
    structure: str
    tissue: str
    zones: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PlaceAtlas:
    """A label map in the space of the template.

    Args:
        labels: Labels, (I, J, K), uint8, 0 where no brain is.
        affine: Voxel to template world, (4, 4), in mm.
        regions: What the labels stand for, by label; the first, of label 0, stands for nothing.
    """

    labels: Array
    affine: Array
    regions: Sequence[Region]

    def look_up(self, points: Array) -> Array:
        """Return the label at each of some points of the template world, (N, 3) in mm, 0 beyond the map."""
        inverse = np.linalg.inv(self.affine)
        # a point far off must not wrap round into the map
        position = np.clip(points @ inverse[:3, :3].T + inverse[:3, 3], -2, max(self.labels.shape) + 1)
        index = np.rint(position).astype(np.int32)
        inside = ((index >= 0) & (index < self.labels.shape)).all(1)
        labels = np.zeros(len(points), dtype=self.labels.dtype)
        labels[inside] = self.labels[tuple(index[inside].T)]
        return labels


@cache
def load_place_atlas() -> PlaceAtlas:
    """Load the atlas that comes with the package: voxels of 2 mm, in the space of the MNI152 template."""
    image = nib.load(LABELS_FILE)
    labels = np.asarray(image.dataobj, dtype=np.uint8)
    return PlaceAtlas(labels, np.asarray(image.affine, dtype=np.float64), read_regions(TABLE_FILE))


def read_regions(path: Path) -> list[Region]:
    """Read the table of an atlas: columns index, side, structure, tissue and one, 0 or 1, for each zone."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    regions = [Region(0, "", "", "", ())]
    for row in rows:
        zones = tuple(zone for zone in ZONES if row[zone] == "1")
        regions.append(Region(int(row["index"]), row["side"], row["structure"], row["tissue"], zones))
    return regions
