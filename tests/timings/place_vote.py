"""Make the atlas of place names from labelled heads, by hand.

python -m tests.timings.place_vote FOLDER_OF_BRAINS MATRICES.json diffad/data/atlas

The folder has ``ixi_hh/train`` and ``label_maps``. Every fourth head of the former votes with its mirror
image for lobe, side, tissue and zone of each voxel; all vote for the parts that both tables know.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from diffad.data.atlas.place_atlas import SURFACE, ZONES
from diffad.data.volume import Array
from diffad.io.atomic import write_bytes
from diffad.prepare.geometry import VoxelGrid, map_voxels, resample
from tests.timings.place_heads import LabelledHead, read_heads, register_head
from tests.timings.place_tables import PARTS, tabulate_freesurfer, tabulate_muse

LOWER, SHAPE, SPACING = (-79.0, -116.0, -72.0), (80, 101, 82), 2.0
"""Lower corner in mm, shape and voxel size: the template's brain with a rim, no voxel in the middle."""
PERIVENTRICULAR_MM, JUXTACORTICAL_MM, SURFACE_MM = 5.0, 3.0, 6.0
"""Widths of the zones, from border to border, and of the surface around the brain."""
MIDLINE_MM = 4.0
"""Half the width of what is called the middle of brain stem and corpus callosum."""
INFRATENTORIAL = ("cerebellum", "cerebellar vermis", "brain stem", "fourth ventricle")
SIDES = ("", "left", "right")
MIRRORED = [0, 2, 1]
"""Position in ``SIDES`` of the other side."""
MUSE, FREESURFER = tabulate_muse(), tabulate_freesurfer()
STRUCTURES = sorted({structure for _, structure, _ in MUSE.values()})
PART_NAMES = sorted({PARTS.get(s, s) for s in STRUCTURES})


def make_grid() -> VoxelGrid:
    """Return the grid of the atlas, symmetric about the middle of the template."""
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    affine[:3, 3] = LOWER
    return VoxelGrid(SHAPE, affine)


def list_parts(head: LabelledHead) -> tuple[Array, Array]:
    """Return the part, as a position in ``PART_NAMES`` or -1, and the tissue of each voxel."""
    parts, tissues = np.full(1024, -1, dtype=np.int16), np.zeros(1024, dtype="U16")
    if head.kind == "muse":
        rows = {label: (PARTS.get(s, s), tissue) for label, (_, s, tissue) in MUSE.items()}
    else:
        rows = dict(FREESURFER)
    for label, (part, tissue) in rows.items():
        parts[label], tissues[label] = PART_NAMES.index(part), tissue
    return parts[head.labels], tissues[head.labels]


def find_zones(head: LabelledHead) -> tuple[Array, Array, Array]:
    """Return cerebral white matter and the two zones of it in a head, by its own ventricles and cortex."""
    parts, tissues = list_parts(head)
    spacing = np.linalg.norm(head.affine[:3, :3], axis=0)
    cerebrum, ventricle = (parts == PART_NAMES.index(x) for x in ("cerebrum", "lateral ventricle"))
    white = cerebrum & (tissues == "white matter")
    cortex = cerebrum & (tissues == "cortex")
    half = SPACING / 2  # distances run from centre to centre, zones from the border
    near_ventricle = ndimage.distance_transform_edt(~ventricle, spacing) <= PERIVENTRICULAR_MM + half
    near_cortex = ndimage.distance_transform_edt(~cortex, spacing) <= JUXTACORTICAL_MM + half
    return white, white & near_ventricle, white & near_cortex


class Ballot:
    """Counts of votes in the voxels of the atlas."""

    def __init__(self) -> None:
        self.heads = 0
        self.parts = np.zeros((len(PART_NAMES), *SHAPE), dtype=np.float32)
        self.structures = np.zeros((len(STRUCTURES), len(SIDES), *SHAPE), dtype=np.float32)
        self.tissues = np.zeros((2, 2, *SHAPE), dtype=np.float32)  # cerebrum, cerebellum; cortex, white
        self.zones = np.zeros((3, *SHAPE), dtype=np.float32)

    def add(self, head: LabelledHead, matrix: Array) -> None:
        """Count the votes of a head, registered by ``matrix``."""
        grid = make_grid()
        way = map_voxels(grid, VoxelGrid(head.labels.shape, head.affine), matrix)

        def sample(image: Array) -> Array:
            return resample(image.astype(np.float32), way, SHAPE, nearest=True, threads=1)

        parts, tissues = list_parts(head)
        placed_parts = sample(parts + 1).astype(np.int16) - 1
        is_white = sample(tissues == "white matter") > 0
        for index in range(len(PART_NAMES)):
            self.parts[index] += placed_parts == index
        for row, part in enumerate(("cerebrum", "cerebellum")):
            inside = placed_parts == PART_NAMES.index(part)
            self.tissues[row, 0] += inside & ~is_white
            self.tissues[row, 1] += inside & is_white
        for index, zone in enumerate(find_zones(head)):
            self.zones[index] += sample(zone) > 0
        if head.kind == "muse":
            labels = sample(head.labels).astype(np.int16)
            for label, (side, structure, _) in MUSE.items():
                self.structures[STRUCTURES.index(structure), SIDES.index(side)] += labels == label
        self.heads += 1

    def mirror(self) -> None:
        """Add the votes of the mirror images of all heads."""
        self.heads *= 2
        self.structures += self.structures[:, MIRRORED, ::-1]
        for name in ("parts", "tissues", "zones"):
            counts = getattr(self, name)
            axis = counts.ndim - 3
            counts += np.flip(counts, axis)

    def decide(self) -> dict[str, Array]:
        """Return brain, structure, side, tissue and zones of each voxel."""
        part = self.parts.argmax(0)
        brain = self.parts.sum(0) > 0.5 * self.heads
        of_part = np.array([PART_NAMES.index(PARTS.get(s, s)) for s in STRUCTURES])
        votes = np.where((of_part[:, None, None, None] == part)[:, None], self.structures, -1.0)
        flat = votes.reshape(-1, *SHAPE)
        best = flat.argmax(0)
        structure, side = best // len(SIDES), best % len(SIDES)
        brain &= flat.max(0) > 0
        is_white = np.zeros(SHAPE, dtype=bool)
        for row, name in enumerate(("cerebrum", "cerebellum")):
            is_white |= (part == PART_NAMES.index(name)) & (self.tissues[row, 1] > self.tissues[row, 0])
        zones = self.zones[1:] > 0.5 * np.maximum(self.zones[0], 1)
        return {"brain": brain, "structure": structure, "side": side, "white": is_white, "zones": zones}


def choose_tissues(structure: Array, is_white: Array) -> Array:
    """Return the tissue of each voxel: by vote where a structure has several, else the one that it has."""
    tissues = np.zeros(SHAPE, dtype="U16")
    for index, name in enumerate(STRUCTURES):
        options = sorted({tissue for _, s, tissue in MUSE.values() if s == name})
        choice = np.where(is_white, options[-1], options[0])  # "cortex" comes before "white matter"
        tissues[structure == index] = choice[structure == index]
    return tissues


def spread_surface(brain: Array, structure: Array, side: Array, tissues: Array) -> None:
    """Give the voxels just outside the brain the nearest structure, and "surface" for a tissue."""
    distance, nearest = ndimage.distance_transform_edt(~brain, SPACING, return_indices=True)
    rim = ~brain & (distance <= SURFACE_MM)
    for values in (structure, side):
        values[rim] = values[tuple(nearest)][rim]
    tissues[rim] = SURFACE
    tissues[~brain & ~rim] = ""


def place_sides(structure: Array, side: Array) -> None:
    """Split brain stem and corpus callosum into left, middle and right by their distance from the middle."""
    x = (LOWER[0] + SPACING * np.arange(SHAPE[0]))[:, None, None]
    by_place = np.where(x < -MIDLINE_MM, 1, np.where(x > MIDLINE_MM, 2, 0)) + np.zeros(SHAPE, dtype=int)
    for name in ("brain stem", "corpus callosum"):
        chosen = structure == STRUCTURES.index(name)
        side[chosen] = by_place[chosen]


def number_labels(result: dict[str, Array]) -> tuple[Array, list[dict[str, str | int]]]:
    """Return labels and their table."""
    structure, side = result["structure"], result["side"]
    tissues = choose_tissues(structure, result["white"])
    spread_surface(result["brain"], structure, side, tissues)
    place_sides(structure, side)
    periventricular, juxtacortical = (z & (tissues == "white matter") for z in result["zones"])
    cerebral = ~np.isin(structure, [STRUCTURES.index(x) for x in INFRATENTORIAL if x in STRUCTURES])
    keys = np.stack([structure, side, np.unique(tissues, return_inverse=True)[1].reshape(SHAPE)])
    keys = np.concatenate([keys, [periventricular & cerebral, juxtacortical & cerebral, ~cerebral]]).astype(
        int
    )
    half = SHAPE[0] // 2  # ties were decided by order: the left half decides for both
    keys[:, half:] = keys[:, half - 1 :: -1]
    keys[1, half:] = np.array(MIRRORED)[keys[1, half:]]
    inside = np.unique(tissues)[keys[2]] != ""
    rows, labels = np.unique(keys[:, inside].T, axis=0, return_inverse=True)
    image = np.zeros(SHAPE, dtype=np.uint8)
    image[inside] = labels.ravel() + 1
    names = np.unique(tissues)
    table = [
        {
            "index": index,
            "side": SIDES[row[1]],
            "structure": STRUCTURES[row[0]],
            "tissue": str(names[row[2]]),
            **{zone: int(value) for zone, value in zip(ZONES, row[3:], strict=True)},
        }
        for index, row in enumerate(rows, 1)
    ]
    return image, table


def main(brains: str, matrices: str, out: str) -> None:
    """Make the atlas."""
    ballot = Ballot()
    for head in read_heads(Path(brains), "train", 4):
        ballot.add(head, register_head(head, Path(matrices)))
    ballot.mirror()
    image, table = number_labels(ballot.decide())
    assert len(table) < 256
    nifti = nib.Nifti1Image(image, make_grid().affine)
    nifti.header.set_xyzt_units("mm")
    nifti.set_sform(nifti.affine, code=4)
    nifti.set_qform(nifti.affine, code=4)
    import gzip

    write_bytes(Path(out) / "places.nii.gz", gzip.compress(nifti.to_bytes(), 9, mtime=0))
    with (Path(out) / "places.tsv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    size = (Path(out) / "places.nii.gz").stat().st_size
    print(f"{ballot.heads // 2} heads, {len(table)} labels, {size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
