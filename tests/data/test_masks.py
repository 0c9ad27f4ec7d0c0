"""Brain masks have no holes, and masks on disk belong to their scan."""

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from diffad.data.masks import brain_mask, load_mask
from diffad.data.volume import Volume, VolumeError


@settings(deadline=None, max_examples=30)
@given(
    shape=st.sampled_from([(9, 8), (7, 6, 8)]),
    seed=st.integers(0, 2**31),
    density=st.sampled_from([0.3, 0.6, 0.9]),
)
def test_mask_is_the_filled_union_of_channels(shape, seed, density):
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(2, *shape)) * (rng.random((2, *shape)) < density)
    expected = ndimage.binary_fill_holes((data != 0).any(0))
    np.testing.assert_array_equal(brain_mask(data)[0], expected)
    assert brain_mask(data).shape == (1, *shape)


def test_item_alone_equals_item_in_batch():
    generator = torch.Generator().manual_seed(0)
    for shape in ((9, 8), (5, 6, 7)):
        x = torch.rand(3, 2, *shape, generator=generator) * (
            torch.rand(3, 2, *shape, generator=generator) > 0.6
        )
        masks = brain_mask(x)
        assert masks.shape == (3, 1, *shape)
        assert masks.dtype == torch.bool
        for i in range(3):
            assert torch.equal(brain_mask(x[i : i + 1]), masks[i : i + 1])
            np.testing.assert_array_equal(brain_mask(x[i].numpy()), masks[i].numpy())


def test_ventricle_inside_the_brain_is_filled_but_the_outside_is_not():
    x = torch.zeros(1, 1, 9, 9)
    x[..., 2:7, 2:7] = -1.0
    x[..., 4, 4] = 0
    assert int(brain_mask(x).sum()) == 25


def test_empty_slices_and_empty_batches_have_empty_masks():
    assert not brain_mask(torch.zeros(2, 1, 4, 4)).any()
    assert brain_mask(torch.zeros(0, 3, 4, 5)).shape == (0, 1, 4, 5)


def test_wrong_number_of_axes_raises():
    with pytest.raises(ValueError, match=r"got Tensor of shape \(1, 4, 4\)"):
        brain_mask(torch.zeros(1, 4, 4))
    with pytest.raises(ValueError, match=r"got ndarray of shape \(4, 4\)"):
        brain_mask(np.zeros((4, 4)))


SHAPE, AFFINE = (4, 5, 6), np.diag([-1.0, 2.0, 3.0, 1.0])


def shift(voxels):
    """What moves the scan along its third axis by so many voxels."""
    matrix = np.zeros((4, 4))
    matrix[2, 3] = 3.0 * voxels
    return matrix


def save(path, data, affine=AFFINE):
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


@pytest.fixture
def scan(tmp_path):
    return Volume.load(save(tmp_path / "scan.nii", np.arange(120, dtype=np.int16).reshape(SHAPE)))


def test_mask_lies_on_the_axes_of_the_scan(tmp_path, scan):
    data = np.zeros(SHAPE, np.uint8)
    data[0, 1, 2] = 3
    mask = load_mask(save(tmp_path / "mask.nii.gz", data, AFFINE + 5e-4), scan)
    assert mask.dtype == bool
    assert scan.data[0][mask].tolist() == [0 * 30 + 1 * 6 + 2]


def test_mask_of_the_whole_field_of_view_is_accepted(tmp_path, scan):
    assert load_mask(save(tmp_path / "mask.nii", np.ones(SHAPE, np.uint8)), scan).all()


def test_mask_stored_in_another_orientation_is_turned_to_the_scan(tmp_path, scan):
    data = np.zeros(SHAPE, np.uint8)
    data[0, 1, 2] = 1
    flipped = nib.as_closest_canonical(nib.Nifti1Image(data, AFFINE))
    nib.save(flipped, tmp_path / "mask.nii")
    assert scan.data[0][load_mask(tmp_path / "mask.nii", scan)].tolist() == [8]


@pytest.mark.parametrize(
    ("data", "affine", "message"),
    [
        (np.ones((4, 5, 7), np.uint8), AFFINE, r"mask\.nii: expected the grid of .*scan\.nii.*\(4, 5, 7\)"),
        (np.ones(SHAPE, np.uint8), AFFINE + shift(0.6), r"mask\.nii: expected the grid of .*scan\.nii"),
        (np.zeros(SHAPE, np.uint8), AFFINE, r"mask\.nii: .*empty mask"),
        (np.ones((*SHAPE, 2), np.uint8), AFFINE, r"mask\.nii: expected a mask of one channel, found 2"),
    ],
)
def test_mask_that_does_not_belong_raises(tmp_path, scan, data, affine, message):
    with pytest.raises(VolumeError, match=message):
        load_mask(save(tmp_path / "mask.nii", data, affine), scan)


@pytest.mark.shared
def test_real_mask_lies_on_its_scan(shared_dir):
    folder = shared_dir / "data" / "volumes"
    mask = load_mask(folder / "glioma_t1c_brain_mask.nii.gz", Volume.load(folder / "glioma_t1c_head.nii.gz"))
    assert 0.05 < mask.mean() < 0.5
    with pytest.raises(VolumeError, match=r"glioma_flair_head\.nii\.gz"):
        load_mask(folder / "glioma_t1c_brain_mask.nii.gz", Volume.load(folder / "glioma_flair_head.nii.gz"))
