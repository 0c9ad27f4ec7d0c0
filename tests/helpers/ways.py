"""A registration that takes no time: small scans brought to the template by a matrix that is known."""

import sys

import numpy as np
import pytest

from diffad.group import regions, write
from diffad.prepare import template
from diffad.prepare.geometry import VoxelGrid
from diffad.prepare.register import RegistrationResult
from tests.helpers.cohorts import brain
from tests.helpers.cohorts import write as write_scan

TO_NATIVE = np.diag([0.4, 0.35, 0.4, 1.0])
TO_NATIVE[:3, 3] = -29.0, 31.0, 27.0
"""From the template's world to that of the brains of ``helpers.cohorts`` with 30 x 32 x 20 voxels."""
SHAPE = (30, 32, 20)
QUALITY = {
    "mutual_information": 0.5,
    "dice": 0.95,
    "scales": [0.4, 0.4, 0.4],
    "determinant": 0.1,
    "outside": 0.0,
}


def register_at_once(patch, **quality):
    """Let registrations end at once, with these figures."""
    result = RegistrationResult(TO_NATIVE, 0.5, 0.4, (1,))
    scales = {"scales": [1.0, 1.0, 1.0]}  # those of the matrix would be odd for a head
    patch.setattr("diffad.prepare.mni._register", lambda *_: result)
    patch.setattr("diffad.prepare.mni.measure_quality", lambda *_: QUALITY | scales | quality)


@pytest.fixture
def _quick_ways(monkeypatch):
    """Let registrations end at once, and the template be coarse."""
    register_at_once(monkeypatch)
    coarsen_template(monkeypatch)


@pytest.fixture
def cohort(tmp_path):
    """A folder of two small scans."""
    for seed in range(2):
        write_scan(tmp_path / "scans" / f"s{seed}.nii.gz", brain(seed, SHAPE))
    return tmp_path / "scans"


def coarsen_template(patch, step=4):
    """Let the template have every fourth voxel alone, wherever it is loaded; return it."""
    assert write.RECORD  # all that loads it is imported
    fine = template.load_mni152.__wrapped__()
    image, brain = (x[::step, ::step, ::step] for x in (fine.image, fine.brain))
    grid = VoxelGrid(image.shape, fine.grid.affine @ np.diag([step, step, step, 1]))
    coarse = template.Template(image, brain, grid)
    for name, module in list(sys.modules.items()):
        if name.startswith("diffad.") and hasattr(module, "load_mni152"):
            patch.setattr(module, "load_mni152", lambda: coarse)
    for function in (regions.draw_labels, regions.measure_regions):
        function.cache_clear()
    return coarse
