"""The way of a scan to the template and back, for images on the scan's own grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from diffad.data.volume import Array, Origin, Volume
from diffad.prepare.brain import outside_fraction
from diffad.prepare.geometry import VoxelGrid, map_voxels, resample
from diffad.prepare.mni import USUAL_DICE, measure_dice, register_to_template
from diffad.prepare.options import PrepareOptions
from diffad.prepare.read import get_grid
from diffad.prepare.record import Record
from diffad.prepare.template import TEMPLATE_NAME, load_mni152

REGISTRATION, PREPARATION, HEADER = "registration", "preparation", "header"
"""Sources of a way: a registration made for it, that of ``prepare``, the header of a registered scan."""
QUALITY = ("dice", "mutual_information", "scales", "determinant", "outside")
"""Figures of a registration that are kept."""


@dataclass(frozen=True, eq=False)
class TemplateWay:
    """The way between the world of a scan and that of the template.

    Args:
        to_native: Template world to scan world, (4, 4), RAS in mm.
        source: "registration", "preparation" or "header".
        quality: Figures of it; ``dice`` is the overlap of the brains.
        warnings: What is wrong with it, in sentences.
    """

    to_native: Array
    source: str
    quality: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def carry(
        self, image: Array, grid: VoxelGrid, *, nearest: bool = False, fill: float = 0.0, threads: int = 0
    ) -> Array:
        """Bring an image from a scan's own grid to that of the template.

        Args:
            image: Map, mask or image, (I, J, K), on axes in RAS.
            grid: Grid of the scan.
            nearest: Take the nearest voxel, as of masks and labels, instead of interpolating linearly.
            fill: Value beyond the scan.
            threads: Threads; 0 for all cores.
        """
        template = load_mni152().grid
        matrix = map_voxels(template, grid, self.to_native)
        return resample(image, matrix, template.shape, nearest=nearest, fill=fill, threads=threads)

    def back(
        self, image: Array, grid: VoxelGrid, *, nearest: bool = False, fill: float = 0.0, threads: int = 0
    ) -> Array:
        """Bring an image from the grid of the template to a scan's own; arguments are those of ``carry``."""
        matrix = map_voxels(grid, load_mni152().grid, np.linalg.inv(self.to_native))
        return resample(image, matrix, grid.shape, nearest=nearest, fill=fill, threads=threads)

    def to_info(self) -> dict[str, Any]:
        """Return what the record of a result keeps of it; ``matrix`` leads from the scan to the template."""
        matrix = np.linalg.inv(self.to_native).round(9).tolist()
        return {"source": self.source, "matrix": matrix, **self.quality}


def register_scan(volume: Volume, brain: Array, is_ct: bool) -> TemplateWay:
    """Register a scan to the template by its brain, by an affine map.

    Args:
        volume: The scan; its first sequence is taken.
        brain: Its brain mask, (I, J, K), bool.
        is_ct: Whether it is a CT, in Hounsfield units.

    Raises:
        VolumeError: If brain and template do not overlap, or over 30 % of it are beyond the scan.
        ImportError: If a package of the extra ``prepare`` is missing.
    """
    record = Record()
    options = PrepareOptions("ct" if is_ct else "mri", bias=False, brain="given", threads=1)
    to_native = register_to_template(
        volume.data[0], brain, volume, options, record, look="the maps in the template"
    )
    return TemplateWay(to_native, REGISTRATION, pick_quality(record.steps[-1]), tuple(record.warnings))


def pick_quality(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a registration from the record of its step."""
    return {key: step[key] for key in QUALITY if key in step}


def take_header(volume: Volume, brain: Array) -> TemplateWay:
    """Take a scan to lie in the template already, as its header says, and measure how well it does.

    Args:
        volume: The scan.
        brain: Its brain mask, (I, J, K), bool.
    """
    grid, template, way = get_grid(volume), load_mni152(), np.eye(4)
    dice = measure_dice(way, brain, grid, 1)
    quality = {"dice": dice, "outside": round(outside_fraction(template.brain, template.grid, way, grid), 4)}
    text = (
        f"{volume.name}: its header says that it lies in MNI152, and its brain overlaps with that of "
        f"{TEMPLATE_NAME} by a Dice of {dice:.2f}, expected at least {USUAL_DICE:g}; it was taken as it is"
    )
    return TemplateWay(way, HEADER, quality, (text,) if dice < USUAL_DICE else ())


def make_template_volume() -> Volume:
    """Return a volume on the grid of the template, whose maps have a header that says MNI152."""
    template = load_mni152()
    image = nib.Nifti1Image(np.zeros((1, 1, 1), dtype=np.float32), template.grid.affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(template.grid.affine, code="mni")
    image.set_qform(template.grid.affine, code="mni")
    origin = Origin(image.header, template.grid.affine, Path(TEMPLATE_NAME))
    return Volume(template.image[None], template.grid.affine, origin)
