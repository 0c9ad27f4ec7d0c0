"""All steps of preparing a scan, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import nibabel as nib
import numpy as np

from diffad.data.volume import Array, Origin, Volume
from diffad.prepare.bias import bias_field, shrink_factors
from diffad.prepare.brain import find_brain
from diffad.prepare.extras import count_threads, package_version
from diffad.prepare.geometry import VoxelGrid, bounding_box, make_upright_grid, map_voxels, resample
from diffad.prepare.hounsfield import check_units
from diffad.prepare.mni import to_template
from diffad.prepare.options import PrepareOptions
from diffad.prepare.prepared_scan import PreparedScan
from diffad.prepare.read import grid_of, grid_warnings, name_of, read_sequences
from diffad.prepare.record import Record
from diffad.prepare.sequences import stack_sequences
from diffad.prepare.template import template_grid

MARGIN = 10.0
"""Room in mm around the brain where a volume is resampled without registration."""


def prepare(
    scan: Path | str | Sequence[Path | str] | Volume,
    options: PrepareOptions | None = None,
    mask: Path | Array | None = None,
) -> PreparedScan:
    """Make a scan ready for a model, and keep the way back to its own grid.

    Steps: sequences on one grid, Hounsfield units checked (CT), brain found, bias field corrected inside it
    (MRI), brain registered to MNI152, all resampled at once through one matrix.
    Each is optional and recorded.

    Args:
        scan: A NIfTI path, one path for each sequence of a subject, or a volume.
        options: What is done; the usual by default.
        mask: Brain mask on the grid of the reference sequence: a path, or an array (I, J, K) in RAS.

    Raises:
        ValueError: If a file or option cannot be used; the message names the file.
        ImportError: If a package of the extra ``prepare`` is missing.
    """
    options = options or PrepareOptions()
    record = Record(
        options=asdict(options), threads=count_threads(options.threads), diffad=package_version("diffad")
    )
    native = _native(scan, options, record)
    brain = find_brain(native, mask, options, record)
    fields = _bias(native, brain, options, record)
    index = min(options.reference, len(native.data) - 1)
    corrected = native.data[index] if fields is None else native.data[index] / fields[index]
    world = np.eye(4)
    if options.register != "none":
        world = to_template(corrected, brain, native, options, record)
    del corrected
    volume, inside = _resampled(native, brain, fields, world, options, record)
    return PreparedScan(volume, inside, native, brain, world, record.to_dict(), fields, options.threads)


def _native(
    scan: Path | str | Sequence[Path | str] | Volume, options: PrepareOptions, record: Record
) -> Volume:
    with record.step("read") as told:
        found = read_sequences(scan)
        told["scans"] = [_told(volume) for volume in found]
        for volume in found:
            for warning in grid_warnings(volume):
                record.warn(warning)
    if options.modality == "ct":
        found = [check_units(volume, options.hu, record) for volume in found]
    return stack_sequences(found, options, record)


def _told(volume: Volume) -> dict[str, object]:
    grid = grid_of(volume)
    axes = "".join(nib.aff2axcodes(volume.origin.affine)) if volume.origin else "RAS"
    about = {"path": name_of(volume), "shape_ras": list(grid.shape), "stored_axes": axes}
    return about | {"spacing_mm": grid.spacing.round(4).tolist(), "shear": round(grid.shear, 5)}


def _bias(native: Volume, brain: Array, options: PrepareOptions, record: Record) -> Array | None:
    if options.modality != "mri" or not options.bias:
        return None
    grid = grid_of(native)
    with record.step("bias", shrink=shrink_factors(grid), SimpleITK=package_version("SimpleITK")) as told:
        fields = np.stack([bias_field(x, brain, grid, options.threads) for x in native.data])
        told["field_5_95"] = [np.percentile(f[brain], (5, 95)).round(3).tolist() for f in fields]
    return fields


def _resampled(
    native: Volume, brain: Array, fields: Array | None, world: Array, options: PrepareOptions, record: Record
) -> tuple[Volume, Array]:
    old, new = grid_of(native), _grid(native, brain, options)
    with record.step("resample", spacing=new.spacing.round(4).tolist(), shape=list(new.shape)) as told:
        matrix = map_voxels(new, old, world)
        # a mask of thick slices would come out in terraces if the nearest voxel decided
        inside = resample(brain, matrix, new.shape, threads=options.threads) > 0.5
        data = np.zeros((len(native.data), *new.shape), dtype=np.float32)
        for index, image in enumerate(native.data):
            image = image if fields is None else image / fields[index]
            data[index] = resample(image, matrix, new.shape, threads=options.threads) * inside
        told["brain_ml"] = round(float(inside.sum()) * new.voxel_ml, 2)
        told["interpolation"] = "linear"
    return Volume(data, new.affine, _origin(native, new)), inside


def _grid(native: Volume, brain: Array, options: PrepareOptions) -> VoxelGrid:
    if options.register != "none":
        return template_grid(options.spacing)
    if options.spacing is None:
        return grid_of(native)
    return make_upright_grid(*bounding_box(brain, native.affine, MARGIN), options.spacing)


def _origin(native: Volume, grid: VoxelGrid) -> Origin | None:
    """Keep the path for messages and names, with a header of the prepared grid."""
    if native.origin is None:
        return None
    image = nib.Nifti1Image(np.zeros((1, 1, 1), dtype=np.float32), grid.affine)
    image.header.set_xyzt_units("mm")
    return Origin(image.header, grid.affine, native.origin.path)
