"""Brains of the mean shape in several contrasts, and models that know some of them."""

import functools

import nibabel as nib
import numpy as np
import torch

from diffad.data.brain_box import BOX_SHAPE
from diffad.data.volume import Volume
from diffad.inference.features import measure_features
from diffad.inference.known import KnownScans
from diffad.inference.tissues import load_tissue_prior
from tests.helpers.cohorts import write_model

CONTRASTS = {"T1": (0.3, 0.6, 0.95), "T2": (0.95, 0.6, 0.45), "FLAIR": (0.3, 0.9, 0.7), None: (0.3, 0.8, 0.8)}
SPACING = 4.0


def draw_scan(contrast="T1", seed=0, grain=0.03, scale=1.0):
    """Draw a brain of the mean shape, its tissues of one contrast."""
    rng = np.random.default_rng(seed)
    prior = torch.from_numpy(load_tissue_prior())[None]
    shape = [round(n * 9 / SPACING * scale) for n in BOX_SHAPE]
    shares = torch.nn.functional.interpolate(prior, shape, mode="trilinear")[0].numpy()
    brain = shares.sum(0) > 0.5
    levels = np.array(CONTRASTS[contrast]) * (1 + 0.02 * rng.standard_normal(3))
    image = np.einsum("k,k...->...", levels, shares / shares.sum(0).clip(1e-3))
    image = (image + grain * rng.standard_normal(brain.shape)).clip(0.01) * brain
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    return Volume(np.pad(image, 3)[None].astype(np.float32), affine), torch.from_numpy(np.pad(brain, 3))


def features_of(*args, **options):
    return measure_features(*draw_scan(*args, **options))


@functools.cache
def know(*contrasts, count=4):
    """Scans of some contrasts, as a model knows them."""
    scales = np.linspace(0.96, 1.04, count)
    return KnownScans.of(
        [features_of(c, seed=i, scale=scale) for c in contrasts for i, scale in enumerate(scales)]
    )


def write_knowing_model(folder, contrasts=(), **settings):
    """Write a model that knows scans of some contrasts; of none, it does not say what it knows."""
    domain = [know(*contrasts).to_dict()] if contrasts else None
    weights = sum(map(ord, folder.name)) % 50
    write_model(folder, levels=100 + weights, settings={"domain": domain} | settings)
    return folder


def write_scan(path, *args, **options):
    """Write a scan as a file, without its skull."""
    volume, _ = draw_scan(*args, **options)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(volume.data[0], volume.affine), path)
    return path
