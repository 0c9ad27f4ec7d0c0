"""Where the voxels lie, if the header contradicts itself, says nothing, or counts in other units."""

import re

import nibabel as nib
import numpy as np
import pytest

from diffad.config.reading import ReadOptions
from diffad.data.affine import measure_shift
from diffad.data.volume import Volume, VolumeError, require_same_grid
from tests.helpers.nifti import ramp, rotation, write_image

AFFINE = np.array([[30.0, 0, 0, -70], [0, 30, 0, -90], [0, 0, 30, -50], [0, 0, 0, 1]])
FLIP = np.diag([-1.0, 1, 1, 1]) @ AFFINE
TURN = np.eye(4)
TURN[:3, :3] = rotation(15)
SHIFT = AFFINE + np.array([[0, 0, 0, 31.0], *np.zeros((3, 4))])


def save(path, qform=AFFINE, sform=AFFINE, codes=(1, 2), **fields):
    image = nib.Nifti1Image(ramp(), AFFINE)
    image.set_qform(qform, 1)
    image.set_sform(sform, 1)
    image.header.set_xyzt_units("mm")
    return write_image(path, image, qform_code=codes[0], sform_code=codes[1], **fields)


def test_header_that_agrees_with_itself_raises_no_warning(tmp_path):
    assert Volume.load(save(tmp_path / "a.nii")).warnings == ()
    assert Volume.load(save(tmp_path / "a.nii", sform=AFFINE + 0.3)).warnings == ()
    for codes in ((1, 0), (0, 2)):
        assert Volume.load(save(tmp_path / "a.nii", FLIP, AFFINE, codes)).warnings == ()


@pytest.mark.parametrize(
    ("qform", "message"),
    [
        (FLIP, r"by a flip that exchanges left and right \(qform LAS, sform RAS\)"),
        (SHIFT, "by up to 1.0 voxels"),
        (np.diag([-1.0, -1, 1, 1]) @ AFFINE, r"direction of their axes \(qform LPS, sform RAS\)"),
        (AFFINE @ np.diag([1.5, 1, 1, 1]), r"by up to \d\.\d voxels"),
    ],
)
def test_contradiction_is_named_with_what_was_taken_and_the_other_on_request(tmp_path, qform, message):
    path = save(tmp_path / "a.nii", qform)
    if qform[0, 0] == 45:  # pixdim belongs to the qform alone
        path = save(tmp_path / "a.nii", qform, pixdim=[1, 45, 30, 30, 0, 0, 0, 0])
    volume = Volume.load(path)
    (warning,) = volume.warnings
    assert warning.startswith("qform and sform differ")
    assert re.search(message, warning)
    assert "the sform is taken; --trust qform takes the other" in warning
    other = Volume.load(path, options=ReadOptions(trust="qform"))
    assert "the qform is taken; --trust sform takes the other" in other.warnings[0]
    voxel = [*np.unravel_index(ramp().argmax(), ramp().shape), 1]
    for version, affine in ((volume, AFFINE), (other, qform)):
        hottest = np.unravel_index(version.data[0].argmax(), version.data.shape[1:])
        np.testing.assert_allclose(version.affine @ [*hottest, 1], affine @ voxel, atol=1e-2)


def test_maps_keep_both_orientations_and_all_codes_whichever_was_trusted(tmp_path):
    path = save(tmp_path / "a.nii", FLIP, AFFINE, (1, 3))
    before = nib.load(path)
    for trust in (None, "qform", "sform"):
        volume = Volume.load(path, options=ReadOptions(trust=trust))
        volume.save(volume.data[0], tmp_path / "map.nii")
        after = nib.load(tmp_path / "map.nii")
        np.testing.assert_array_equal(after.get_fdata(), before.get_fdata())
        for name in ("qform_code", "sform_code", "srow_x", "quatern_c", "qoffset_x", "pixdim", "xyzt_units"):
            np.testing.assert_array_equal(after.header[name], before.header[name], err_msg=name)
        np.testing.assert_array_equal(volume.to_nifti(volume.data[0]).affine, before.affine)


def test_no_codes_are_a_guess_that_is_named_and_a_choice(tmp_path):
    path = save(tmp_path / "a.nii", codes=(0, 0))
    (warning,) = Volume.load(path).warnings
    assert "there is no orientation" in warning
    assert "run LAS, so left and right are a guess" in warning
    for trust in ("qform", "sform"):
        volume = Volume.load(path, options=ReadOptions(trust=trust))
        np.testing.assert_allclose(volume.affine, AFFINE)
        assert f"the {trust} is taken all the same" in volume.warnings[0]


def test_unknown_code_is_named_and_its_orientation_stays(tmp_path):
    path = save(tmp_path / "a.nii", codes=(0, 9))
    volume = Volume.load(path)
    np.testing.assert_allclose(volume.affine, AFFINE)
    assert any("sform code 9 is none that NIfTI defines" in warning for warning in volume.warnings)
    volume.save(volume.data[0], tmp_path / "map.nii")
    assert (tmp_path / "map.nii").read_bytes()[254:256] == b"\x09\x00"


def test_trust_in_what_is_not_there_is_named(tmp_path):
    volume = Volume.load(save(tmp_path / "a.nii", codes=(0, 2)), options=ReadOptions(trust="qform"))
    assert volume.warnings == ("there is no qform to trust: its code is 0, and the sform is taken",)
    with pytest.raises(ValueError, match="trust: expected one of qform, sform, got 'both'"):
        ReadOptions(trust="both")


def test_quaternion_that_is_no_rotation_does_not_stop_a_scan_with_an_sform(tmp_path):
    path = save(tmp_path / "a.nii", quatern_b=3, quatern_c=5)
    assert "the qform cannot be used: the sform is taken" in Volume.load(path).warnings[0]
    with pytest.raises(VolumeError, match="expected an invertible affine"):
        Volume.load(path, options=ReadOptions(trust="qform"))


@pytest.mark.parametrize(("code", "scale", "name"), [(1, 1000, "metres"), (3, 0.001, "microns")])
def test_units_become_millimetres_and_maps_keep_the_unit(tmp_path, code, scale, name):
    shrink = np.diag([1 / scale] * 3 + [1])
    pixdim = [1, *[30 / scale] * 3, 0, 0, 0, 0]
    path = save(tmp_path / "a.nii", shrink @ AFFINE, shrink @ AFFINE, xyzt_units=code | 8, pixdim=pixdim)
    volume = Volume.load(path)
    np.testing.assert_allclose(volume.affine, AFFINE, rtol=1e-5)
    np.testing.assert_allclose(volume.spacing, 30, rtol=1e-5)
    assert volume.voxel_ml == pytest.approx(27)
    assert volume.warnings == (f"the unit of length is {name}: lengths are converted to millimetres",)
    volume.save(volume.data[0], tmp_path / "map.nii")
    after, before = nib.load(tmp_path / "map.nii"), nib.load(path)
    np.testing.assert_array_equal(after.affine, before.affine)
    np.testing.assert_array_equal(after.get_fdata(), before.get_fdata())
    assert after.header["xyzt_units"] == code | 8
    np.testing.assert_array_equal(after.header["pixdim"], before.header["pixdim"])
    np.testing.assert_allclose(Volume.load(tmp_path / "map.nii").affine, AFFINE, rtol=1e-5)


def test_unit_that_the_size_of_a_head_belies_is_not_taken(tmp_path):
    volume = Volume.load(save(tmp_path / "a.nii", xyzt_units=1))
    np.testing.assert_allclose(volume.affine, AFFINE)
    assert "metres in the header, which would be no size of a head: millimetres" in volume.warnings[0]


def test_unknown_unit_is_named_and_no_unit_is_millimetres_without_a_word(tmp_path):
    assert "unknown code 5" in Volume.load(save(tmp_path / "a.nii", xyzt_units=5)).warnings[0]
    assert Volume.load(save(tmp_path / "a.nii", xyzt_units=0)).warnings == ()


@pytest.mark.parametrize("factor", [0.05, 15])
def test_field_that_is_not_that_of_a_head_is_named(tmp_path, factor):
    affine = np.diag([factor] * 3 + [1]) @ AFFINE
    volume = Volume.load(save(tmp_path / "a.nii", affine, affine))
    assert "the field of view is not that of a head" in volume.warnings[0]


@pytest.mark.parametrize("spacing", [(0.001, 4, 4), (4, 4, 1e7), (1e-9, 1e-9, 1e-9), (1e30, 1, 1)])
def test_voxels_of_which_no_picture_can_be_made_are_refused(tmp_path, spacing):
    affine = np.diag([*spacing, 1])
    path = save(tmp_path / "a.nii", AFFINE, affine)
    with pytest.raises(VolumeError, match=r"at least 0\.01 mm and sides of at most 10 m, found voxels of"):
        Volume.load(path)


def test_distance_of_grids_is_counted_in_voxels_at_the_farthest_corner():
    assert measure_shift(AFFINE, AFFINE, (5, 7, 4)) == 0
    assert measure_shift(SHIFT, AFFINE, (5, 7, 4)) == pytest.approx(31 / 30)
    stretch = AFFINE @ np.diag([1, 1.1, 1, 1])
    assert measure_shift(stretch, AFFINE, (5, 7, 4)) == pytest.approx(0.6)
    assert measure_shift(np.full((4, 4), np.nan), AFFINE, (5, 7, 4)) == np.inf


def grid(affine, shape=(5, 7, 4)):
    return Volume(ramp((1, *shape)), affine)


def test_mask_that_differs_by_rounding_lies_on_the_grid():
    coarse = np.diag([4.0, 4, 4, 1])
    assert require_same_grid(grid(coarse + 0.002 * np.eye(4, k=3)), grid(coarse)) == ()
    (warning,) = require_same_grid(grid(AFFINE + 9 * np.eye(4, k=3)), grid(AFFINE))
    assert "up to 0.30 voxels off the grid of the scan" in warning


@pytest.mark.parametrize("affine", [SHIFT, FLIP, TURN @ AFFINE, AFFINE @ np.diag([1, 1, 1.3, 1])])
def test_grids_that_differ_by_half_a_voxel_or_a_flip_are_refused(affine):
    with pytest.raises(VolumeError, match="expected the grid of"):
        require_same_grid(grid(affine), grid(AFFINE))


def test_fine_voxels_are_compared_as_strictly_as_coarse_ones():
    fine = np.diag([0.001, 0.001, 0.001, 1])
    with pytest.raises(VolumeError, match="expected the grid of"):
        require_same_grid(grid(fine + 9e-4 * np.eye(4, k=3)), grid(fine))


@pytest.mark.parametrize("place", [2e4, 1e20, -1e38])
def test_scan_far_from_the_origin_of_its_world_stays_on_its_own_grid_and_says_so(tmp_path, place):
    affine = AFFINE.copy()
    affine[1, 3] = place
    assert measure_shift(affine, affine, (5, 7, 4)) == 0
    data = np.arange(10 * 12 * 8, dtype=np.float32).reshape(10, 12, 8)
    nib.save(nib.Nifti1Image(data, affine), tmp_path / "x.nii")
    volume = Volume.load(tmp_path / "x.nii")
    assert any("mean nothing" in warning for warning in volume.warnings)
    assert require_same_grid(Volume.load(tmp_path / "x.nii"), volume) == ()


def test_qform_is_taken_where_the_sform_cannot_be_used(tmp_path):
    zeros = dict.fromkeys(("srow_x", "srow_y", "srow_z"), [0.0] * 4)
    volume = Volume.load(save(tmp_path / "a.nii", **zeros))
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-4)
    assert "the sform cannot be used: the qform is taken" in volume.warnings[0]


def test_voxel_edges_that_are_not_those_of_the_only_orientation_are_said(tmp_path):
    path = save(tmp_path / "a.nii", codes=(0, 2), pixdim=[1, 1, 1, 1, 0, 0, 0, 0])
    assert (
        "voxels are 1 x 1 x 1 mm by pixdim and 30 x 30 x 30 mm by the sform" in Volume.load(path).warnings[0]
    )
