"""Tiny brains on disk, and a model that was never trained: enough to see what goes where."""

import csv
import json

import nibabel as nib
import numpy as np
import torch

AFFINE = np.diag([-2.0, 2.0, 3.0, 1.0])
SHAPE = (24, 28, 10)
KINDS = (
    "anomaly.nii.gz",
    "info.json",
    "lesions.csv",
    "lesions.json",
    "mask.nii.gz",
    "report.html",
    "report.png",
    "seen.nii.gz",
    "twin.nii.gz",
)


def inside(shape=SHAPE):
    """The ellipsoid that is brain."""
    centres = [(n - 1) / 2 for n in shape]
    return sum(((a - c) / (0.75 * c)) ** 2 for a, c in zip(np.indices(shape), centres, strict=True)) < 1


def brain(seed=0, shape=SHAPE):
    """A skull-stripped scan with texture."""
    return (inside(shape) * (100 + 20 * np.random.default_rng(seed).random(shape))).astype(np.float32)


def write(path, data, affine=AFFINE):
    """Write a NIfTI file, and the folders it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


def write_model(folder, levels=100, settings=None, **network):
    """Write a pipeline folder; the settings are those of the pipeline."""
    from diffusers import DDPMScheduler

    from diffad.models.unet2d import UNet2D
    from diffad.pipeline import AnomalyPipeline

    torch.manual_seed(0)
    options = {"channels": (8, 16), "layers": 1, "attention": False} | network
    scheduler = DDPMScheduler(num_train_timesteps=levels, clip_sample=False)
    sampler = {"name": "oneshot", "levels": [20]}
    settings = {"sampler": sampler, "space": {"size": 32}} | (settings or {})
    AnomalyPipeline(UNet2D(**options), scheduler, **settings).save_pretrained(folder)
    return folder


def load(path):
    """Voxels of a NIfTI file."""
    return np.asarray(nib.load(path).dataobj)


def names(folder):
    """Names of all files of a folder, hidden ones too."""
    return sorted(p.name for p in folder.iterdir())


def table(out):
    """Rows of results.csv by scan."""
    with (out / "results.csv").open() as file:
        return {row["scan"]: row for row in csv.DictReader(file)}


def info(out, name):
    """What is stored with the maps of a scan."""
    return json.loads((out / f"{name}_info.json").read_text())


def all_files(*scans, ended=True):
    """Names of all files of a run over these scans; one that did not end has no index."""
    index = ["index.html"] if ended else []
    return sorted([f"{s}_{k}" for s in scans for k in KINDS] + [*index, "results.csv"])
