"""Slices by millimetres of MNI152, by what a model knows, and by numbers of a grid."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from diffad.data.volume import Origin, Volume, VolumeError
from diffad.inference.scan import ScanSource
from diffad.inference.slice_range import check_slices, choose_slices, explain_numbers, parse_range
from diffad.inference.template_box import TEMPLATE_BOX_MM, is_in_template_space, locate_slices

SHAPE = (37, 46, 41)
STEP = 4.0


def source(code=0, low=-72.0, first=1, last=39, step=STEP):
    """A brain between two slices of a grid whose header has an orientation code."""
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = (-72, -107, low - step * first)
    brain = np.zeros(SHAPE, dtype=bool)
    brain[2:-2, 2:-2, first : last + 1] = True
    header = nib.Nifti1Header()
    header.set_sform(affine, code=code)
    data = np.float32(brain * np.random.default_rng(0).random(SHAPE))[None]
    volume = Volume(data, affine, Origin(header, affine, Path("a.nii.gz")))
    return ScanSource(torch.from_numpy(data)[None], torch.from_numpy(brain)[None, None], volume)


def heights(scan, selection):
    all_heights = locate_slices(scan.volume, scan.brain[0], "axial")
    return all_heights[slice(*selection.slices)]


def test_millimetres_are_those_of_a_registered_scan():
    scan = source(code=4)
    assert is_in_template_space(scan.volume)
    selection = choose_slices(scan, "axial", "19:27mm", None)
    assert heights(scan, selection) == [20.0, 24.0]
    assert selection.warnings == ()


def test_box_around_the_brain_stands_in_where_a_scan_is_not_registered():
    native, registered = source(low=300.0), source(code=4)
    own = choose_slices(native, "axial", "19:27mm", None)
    assert own.slices == choose_slices(registered, "axial", "19:27mm", None).slices
    assert "may be some millimetres off" in own.warnings[0]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(30, 39), st.sampled_from(("axial", "coronal", "sagittal")))
def test_ends_of_a_brain_are_those_of_the_template(first, last, axis):
    scan, index = source(first=first, last=last), {"sagittal": 0, "coronal": 1, "axial": 2}[axis]
    low, high = TEMPLATE_BOX_MM[index]
    places = locate_slices(scan.volume, scan.brain[0], axis)
    others = tuple(a for a in range(3) if a != index)
    shown = np.flatnonzero(scan.brain[0, 0].numpy().any(others))
    assert places == sorted(places)
    assert abs(places[shown[0]] - low) < 4
    assert abs(places[shown[-1]] - high) < 4


@pytest.mark.parametrize("slices", [None, "auto"])
def test_what_the_model_knows_is_looked_at_unless_all_is_asked_for(slices):
    scan = source(code=4)
    chosen = choose_slices(scan, "axial", slices, (19, 27))
    assert chosen.slices == choose_slices(scan, "axial", "19:27mm", None).slices
    assert chosen.reasons == ()
    whole = choose_slices(scan, "axial", "all", (19, 27))
    assert whole.slices is None
    assert "slices lie outside z = 19 to 27 mm of MNI152" in whole.reasons[0]
    assert choose_slices(scan, "axial", slices, None).slices is None


def test_numbers_of_slices_outside_what_the_model_knows_are_said():
    scan = source(code=4)
    assert choose_slices(scan, "axial", (24, 25), (19, 27)).reasons == ()
    assert "1 of 1 slices lie outside" in choose_slices(scan, "axial", (2, 3), (19, 27)).reasons[0]


def test_part_of_a_brain_is_not_laid_on_the_template():
    scan = source(first=10, last=15)
    selection = choose_slices(scan, "axial", None, (19, 27))
    assert selection.slices is None
    assert "too short to tell" in selection.warnings[0]


def test_a_single_slice_is_not_called_too_short(tmp_path):
    image = np.zeros((24, 28), np.uint8)
    image[4:20, 4:24] = np.arange(16 * 20).reshape(16, 20) % 200 + 50
    Image.fromarray(image).save(tmp_path / "slice.png")
    volume = Volume.load(tmp_path / "slice.png")
    scan = ScanSource(torch.from_numpy(volume.data)[None], torch.from_numpy(volume.data > 0)[None], volume)
    selection = choose_slices(scan, "axial", None, (19, 27))
    assert (selection.slices, selection.warnings, selection.reasons) == (None, (), ())


def test_thick_slices_give_the_nearest_and_a_range_beyond_the_scan_is_refused():
    scan = source(code=4)
    assert heights(scan, choose_slices(scan, "axial", "21:22mm", None)) == [20.0]
    with pytest.raises(VolumeError, match=r"a\.nii.*expected slices at z = 200 to 210 mm"):
        choose_slices(scan, "axial", "200:210mm", None)


def test_volumes_and_images_have_no_millimetres():
    tensor = ScanSource(torch.rand(1, 1, 8, 8), torch.ones(1, 1, 8, 8, dtype=torch.bool))
    for scan, axis in ((source(), "volume"), (tensor, "axial")):
        assert choose_slices(scan, axis, None, (19, 27)).slices is None
        with pytest.raises(ValueError, match="expected no millimetres"):
            choose_slices(scan, axis, "19:27mm", None)


@pytest.mark.parametrize(
    ("text", "ends"), [("19:27mm", (19, 27)), ("-20mm:4.5mm", (-20, 4.5)), ("auto", None), ("all", None)]
)
def test_ranges_are_read(text, ends):
    assert parse_range(text) == ends


@pytest.mark.parametrize(
    "slices", ["27:19mm", "a:bmm", "19:27", "1..2:3mm", (3, 2), (-1, 2), [1], 7, (1.5, 2)]
)
def test_what_names_no_slices_is_refused(slices):
    with pytest.raises(ValueError, match="slices: expected"):
        check_slices(slices)


def test_numbers_are_said_to_count_a_grid():
    assert "each scan's own grid" in explain_numbers((91, 100), False)
    assert "91:100 are counted on the grid of the template" in explain_numbers((91, 100), True)
