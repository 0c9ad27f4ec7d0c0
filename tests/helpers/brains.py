"""Small brains on disk: ellipsoids with zero background, another one for each seed."""

from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

SHAPE = (12, 14, 10)


def brain(seed=0, shape=SHAPE):
    """Intensities (I, J, K), zero outside an ellipsoid."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    inside = sum(a**2 for a in axes) < 0.8
    return np.random.default_rng(seed).uniform(50, 200, shape).astype(np.float32) * inside


def save_volume(path, seed=0, shape=SHAPE, affine=None, data=None):
    """Write a NIfTI file and return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    values = brain(seed, shape) if data is None else data
    nib.save(nib.Nifti1Image(values, np.eye(4) if affine is None else affine), path)
    return path


def save_image(path, seed=0, size=(20, 16), dtype=np.uint8, channels=None):
    """Write a PNG and return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    plane = brain(seed, (*size, 3))
    values = plane[..., 1] if channels is None else plane[..., [1] * channels]
    values = values / 255 * np.iinfo(dtype).max
    Image.fromarray(values.astype(dtype)).save(path)
    return path
