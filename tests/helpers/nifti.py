"""Small NIfTI files of every orientation, with headers as one likes."""

import gzip
import io
import itertools

import nibabel as nib
import numpy as np

ORIENTATIONS = [
    np.array(list(zip(axes, flips, strict=True)))
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]
SHAPE = (5, 7, 4)
SPACING = (0.9, 1.1, 5.5)


def rotation(degrees):
    a, b = np.radians(degrees), np.radians(degrees / 3)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return about_z @ about_x


def affine_for(orientation, spacing=SPACING, degrees=0.0):
    matrix = np.zeros((4, 4))
    for voxel_axis, (world_axis, flip) in enumerate(orientation):
        matrix[int(world_axis), voxel_axis] = flip * spacing[voxel_axis]
    matrix[:3, :3] = rotation(degrees) @ matrix[:3, :3]
    matrix[:, 3] = (-31.5, 12.25, 7.0, 1.0)
    return matrix


def write_image(path, image, **fields):
    """Write a NIfTI file; ``fields`` are put in the header as raw numbers, past every check."""
    raw = bytearray(image.to_bytes())
    header = image.header_class.from_fileobj(io.BytesIO(bytes(raw)), check=False)
    for name, value in fields.items():
        header[name] = value
    raw[: len(header.binaryblock)] = header.binaryblock
    path.write_bytes(gzip.compress(bytes(raw)) if path.suffix == ".gz" else bytes(raw))
    return path


def write(path, data, affine=None, **fields):
    affine = np.diag([1, 1, 2, 1]) if affine is None else affine
    return write_image(path, nib.Nifti1Image(data, affine, dtype=data.dtype), **fields)


def ramp(shape=SHAPE, dtype=np.float32):
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)
