"""A volume lies in the patient where its images do, voxel by voxel, as GDCM reads them."""

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.data.volume_error import VolumeError
from diffad.dicom import read_series, read_slice_grids, sample_on_slice
from diffad.dicom.tilt import straighten
from tests.helpers.dicom_heads import GRADIENT, SHAPE, axial, oblique, ramp, sagittal, tilted
from tests.helpers.dicom_series import write_series

sitk = pytest.importorskip("SimpleITK")
GRIDS = {
    "axial": axial(),
    "stored to the right": axial((1, -1, 1)),
    "slices downwards": axial((-1, -1, -1)),
    "oblique": oblique(),
    "oblique, mirrored": oblique(signs=(1, -1, 1)),
    "sagittal": sagittal(),
}


def read_with_gdcm(source):
    """Return values and places in mm (RAS) of all voxels, as SimpleITK reads the files in their order."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in source.files])
    image = reader.Execute()
    voxels = np.stack(np.meshgrid(*map(np.arange, image.GetSize()), indexing="ij"), -1)
    matrix = np.array(image.GetDirection()).reshape(3, 3) @ np.diag(image.GetSpacing())
    places = voxels @ matrix.T + np.array(image.GetOrigin())
    return sitk.GetArrayFromImage(image).T, places * [-1, -1, 1]


@pytest.mark.parametrize("name", GRIDS)
def test_every_voxel_lies_where_gdcm_has_it(tmp_path, source, name):
    affine = GRIDS[name]
    write_series(tmp_path, ramp(affine), affine, shuffle=True)
    images = source(tmp_path)
    volume = read_series(images)
    values, places = read_with_gdcm(images)
    voxels = np.linalg.solve(volume.affine[:3, :3], (places - volume.affine[:3, 3]).reshape(-1, 3).T)
    nearest = np.rint(voxels).astype(int)
    assert np.abs(voxels - nearest).max() < 1e-3
    assert np.array_equal(volume.data[0][tuple(nearest)], values.ravel())
    assert volume.data.shape[1:] == tuple(
        np.array(SHAPE)[np.argsort([np.abs(affine[:3, i]).argmax() for i in range(3)])]
    )


@pytest.mark.parametrize("signs", [(-1, -1, 1), (1, -1, 1), (-1, -1, -1), (1, -1, -1)])
@pytest.mark.parametrize("degrees", [18, -18])
def test_slices_of_a_tilted_gantry_hold_what_the_upright_volume_shows_there(tmp_path, source, degrees, signs):
    affine = tilted(degrees, signs)
    write_series(tmp_path, ramp(affine, offset=0), affine, modality="CT", description="head")
    images = source(tmp_path)
    volume = read_series(images)
    axes = volume.affine[:3, :3] / volume.spacing
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-6)
    assert any("tilted by 18.0 degrees" in warning for warning in volume.warnings)
    for grid in read_slice_grids(images.files):
        pixels = pydicom.dcmread(grid.path).pixel_array
        errors = np.abs(sample_on_slice(volume.data[0], volume.affine, grid) - pixels)
        assert errors[1:-1, 1:-1].max() <= 1.01
        assert errors.max() < 6  # a quarter of what two rows differ by, where there is no next row


def test_converter_itself_lays_a_tilted_series_elsewhere(tmp_path, source, monkeypatch):
    """The reason for straightening slices here; once this fails, dcm2niix could do it."""
    monkeypatch.setattr("diffad.dicom.geometry.MIN_TILT", 90)
    affine = tilted(-18)
    write_series(tmp_path, ramp(affine, offset=0), affine, modality="CT", description="head")
    with pytest.raises(VolumeError, match=r"expected (one volume|a volume where its images lie)"):
        read_series(source(tmp_path))


@settings(max_examples=15, deadline=None)
@given(
    shift=st.tuples(*[st.floats(-1.5, 1.5, allow_subnormal=False)] * 2),
    angles=st.tuples(*[st.floats(-0.5, 0.5, allow_subnormal=False)] * 3),
)
def test_straightened_slices_keep_every_value_at_its_place(shift, angles):
    upright = oblique(angles)
    upright[:3, 2] /= np.linalg.norm(upright[:3, 2])
    sheared = upright.copy()
    sheared[:3, 2] = upright[:3, 2] * 4 + upright[:3, 0] * shift[0] + upright[:3, 1] * shift[1]
    shape = (9, 8, 7)
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    stack = (voxels @ sheared[:3, :3].T + sheared[:3, 3]) @ GRADIENT
    data, affine = straighten(stack, sheared, upright)
    inside = np.full(data.shape, False)
    for k in range(7):
        for i in range(data.shape[0]):
            for j in range(data.shape[1]):
                place = affine @ [i, j, k, 1]
                old = np.linalg.solve(sheared, place)[:2]
                inside[i, j, k] = (old >= 0).all() and (old <= [8, 7]).all()
    grid = np.stack(np.meshgrid(*map(np.arange, data.shape), indexing="ij"), -1)
    expected = (grid @ affine[:3, :3].T + affine[:3, 3]) @ GRADIENT
    assert inside.sum() > 100
    assert np.allclose(data[inside], expected[inside], atol=0.02)


def test_volume_that_lies_elsewhere_is_refused(tmp_path, source, monkeypatch):
    write_series(tmp_path, ramp(axial()), axial())
    images = source(tmp_path)
    monkeypatch.setattr("diffad.dicom.read.make_affine", lambda places: axial() + np.eye(4)[:, [3, 0, 1, 2]])
    with pytest.raises(VolumeError, match=r"expected a volume where its images lie in the patient"):
        read_series(images)


def test_pixels_outside_the_volume_are_zero(tmp_path, source):
    write_series(tmp_path, ramp(axial()), axial())
    (grid, *_) = read_slice_grids(source(tmp_path).files)
    far = np.eye(4)
    far[:3, 3] = 1e4
    assert not sample_on_slice(np.ones((4, 4, 4)), far, grid).any()
