"""How a scan was made ready, drawn."""

import io
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from diffad.data.volume import Origin, Volume
from diffad.prepare import PreparedScan
from diffad.prepare.geometry import VoxelGrid
from diffad.prepare.template import Template
from diffad.report import preparation
from tests.helpers.cohorts import brain, inside


def scan(register=True):
    affine = np.diag([6.0, 6.0, 9.0, 1.0])
    volume = Volume(brain()[None], affine, Origin(nib.Nifti1Header(), affine, Path("a.nii.gz")))
    steps = [{"step": "brain", "way": "deepbet"}, *([{"step": "register", "dice": 0.97}] if register else [])]
    return PreparedScan(volume, inside(), volume, inside(), np.eye(4), {"steps": steps})


@pytest.fixture(autouse=True)
def _template(monkeypatch):
    template = Template(
        brain(), np.roll(inside(), 2, 0), VoxelGrid(brain().shape, np.diag([6.0, 6.0, 9.0, 1.0]))
    )
    monkeypatch.setattr(preparation, "load_mni152", lambda: template)


def pixels(content):
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def count(image, colour):
    return int((np.abs(image - np.array(colour)).sum(-1) < 60).sum())


def test_brain_and_template_are_outlined():
    image = pixels(preparation.draw_preparation(scan()))
    assert count(image, (255, 176, 46)) > 200
    assert count(image, (53, 224, 255)) > 200


def test_scan_that_is_not_registered_has_no_template():
    image = pixels(preparation.draw_preparation(scan(register=False)))
    assert count(image, (255, 176, 46)) > 200
    assert count(image, (53, 224, 255)) == 0
    assert len(image) < len(pixels(preparation.draw_preparation(scan())))


def test_same_scan_is_the_same_picture():
    assert preparation.draw_preparation(scan()) == preparation.draw_preparation(scan())


def test_template_is_brought_to_the_grid_of_the_scan():
    coarse = scan()
    moved = Volume(coarse.volume.data[:, ::2, ::2], np.diag([12.0, 12.0, 9.0, 1.0]))
    assert preparation._move_template(moved).shape == moved.data.shape[1:]
    assert preparation._move_template(moved).any()
