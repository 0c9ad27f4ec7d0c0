"""Preparing a scan: all steps, one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import nibabel as nib
import numpy as np

from diffad.config.reading import ReadOptions
from diffad.data.volume import Array, Origin, Volume, VolumeError
from diffad.io.version import package_version
from diffad.prepare.bias import estimate_bias_field, shrink_factors
from diffad.prepare.brain import find_brain
from diffad.prepare.geometry import VoxelGrid, find_bounding_box, make_upright_grid, map_voxels, resample
from diffad.prepare.hounsfield import check_brain, check_units
from diffad.prepare.mni import register_to_template
from diffad.prepare.options import PrepareOptions
from diffad.prepare.prepared_scan import PreparedScan
from diffad.prepare.read import MAX_VOXELS, get_grid, list_grid_warnings, read_sequences
from diffad.prepare.record import Record, count_threads
from diffad.prepare.sequences import stack_sequences
from diffad.prepare.template import make_template_grid

MARGIN = 10.0
"""Margin around the brain where a volume is resampled without registration, in mm."""


def prepare(
    scan: Path | str | Sequence[Path | str] | Volume,
    options: PrepareOptions | None = None,
    mask: Path | Array | None = None,
    *,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
) -> PreparedScan:
    """Make a scan ready for a model, and keep the way back to the grid of the scan.

    The steps are: bring sequences to one grid, check Hounsfield units (CT), find the brain, correct the bias
    field in it (MRI), register the brain to MNI152, and resample everything at once through one matrix. Each
    is optional and recorded.

    Args:
        scan: A NIfTI path, one path for each sequence of a subject, or a volume.
        options: Options of the steps; none for the usual ones.
        mask: Brain mask on the grid of the reference sequence: a path, or an array (I, J, K) in RAS.
        reading: How files are read.

    Raises:
        ValueError: If a file or option cannot be used; the message names the file.
        ImportError: If a package of the extra ``prepare`` is missing.
    """
    options = options or PrepareOptions()
    record = Record(
        options=asdict(options), threads=count_threads(options.threads), diffad=package_version("diffad")
    )
    native = _read_native(scan, options, record, reading)
    brain = find_brain(native, mask, options, record)
    if options.modality == "ct":
        check_brain(native, brain, record)
    fields = _estimate_bias(native, brain, options, record)
    index = min(options.reference, len(native.data) - 1)
    image = native.data[index] if fields is None else native.data[index] / fields[index]
    world = np.eye(4)
    if options.register != "none":
        world = register_to_template(image, brain, native, options, record)
    del image
    volume, new_brain = _resample(native, brain, fields, world, options, record)
    return PreparedScan(volume, new_brain, native, brain, world, record.to_dict(), fields, options.threads)


def _read_native(
    scan: Path | str | Sequence[Path | str] | Volume,
    options: PrepareOptions,
    record: Record,
    reading: ReadOptions,
) -> Volume:
    with record.step("read") as entry:
        volumes = read_sequences(scan, reading)
        entry["scans"] = [_describe_scan(volume) for volume in volumes]
        for volume in volumes:
            for warning in (*volume.warnings, *list_grid_warnings(volume)):
                record.warn(warning)
    if options.modality == "ct":
        volumes = [check_units(volume, options.hu, record) for volume in volumes]
    return stack_sequences(volumes, options, record)


def _describe_scan(volume: Volume) -> dict[str, object]:
    grid = get_grid(volume)
    axes = "".join(nib.aff2axcodes(volume.origin.affine)) if volume.origin else "RAS"
    info = {"path": volume.name, "shape_ras": list(grid.shape), "stored_axes": axes}
    return info | {"spacing_mm": grid.spacing.round(4).tolist(), "shear": round(grid.shear, 5)}


def _estimate_bias(native: Volume, brain: Array, options: PrepareOptions, record: Record) -> Array | None:
    if options.modality != "mri" or not options.bias:
        return None
    grid = get_grid(native)
    with record.step("bias", shrink=shrink_factors(grid), SimpleITK=package_version("SimpleITK")) as entry:
        fields = np.stack([estimate_bias_field(x, brain, grid, options.threads) for x in native.data])
        entry["field_5_95"] = [np.percentile(f[brain], (5, 95)).round(3).tolist() for f in fields]
    return fields


def _resample(
    native: Volume, brain: Array, fields: Array | None, world: Array, options: PrepareOptions, record: Record
) -> tuple[Volume, Array]:
    old, new = get_grid(native), _choose_grid(native, brain, options)
    with record.step("resample", spacing=new.spacing.round(4).tolist(), shape=list(new.shape)) as entry:
        matrix = map_voxels(new, old, world)
        # with the nearest voxel, a mask of thick slices would come out in terraces
        new_brain = resample(brain, matrix, new.shape, threads=options.threads) > 0.5
        data = np.zeros((len(native.data), *new.shape), dtype=np.float32)
        for index, image in enumerate(native.data):
            image = image if fields is None else image / fields[index]
            data[index] = resample(image, matrix, new.shape, threads=options.threads) * new_brain
        entry["brain_ml"] = round(float(new_brain.sum()) * new.voxel_ml, 2)
        entry["interpolation"] = "linear"
    is_template = options.register != "none"
    return Volume(data, new.affine, _make_origin(native, new, is_template)), new_brain


def _choose_grid(native: Volume, brain: Array, options: PrepareOptions) -> VoxelGrid:
    if options.register != "none":
        return make_template_grid(options.spacing)
    if options.spacing is None:
        return get_grid(native)
    grid = make_upright_grid(*find_bounding_box(brain, native.affine, MARGIN), options.spacing)
    if math.prod(grid.shape) > MAX_VOXELS:
        finding = f"a brain that needs {tuple(grid.shape)}; check the voxel size in its header"
        raise VolumeError(f"{native.name}: expected at most {MAX_VOXELS} voxels, found {finding}")
    return grid


def _make_origin(native: Volume, grid: VoxelGrid, is_template: bool) -> Origin | None:
    """Keep the path for messages and names, with a header of the prepared grid and its world."""
    if native.origin is None:
        return None
    image = nib.Nifti1Image(np.zeros((1, 1, 1), dtype=np.float32), grid.affine)
    image.header.set_xyzt_units("mm")
    if is_template:
        image.set_sform(grid.affine, code="mni")
        image.set_qform(grid.affine, code="mni")
    return Origin(image.header, grid.affine, native.origin.path)
