"""Single slices on disk: images, arrays and 2-D NIfTI are volumes of one slice."""

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from diffad.config.reading import ReadOptions
from diffad.data.head import head_warning
from diffad.data.image_file import read_image
from diffad.data.slices import to_slices
from diffad.data.volume import Volume, VolumeError
from diffad.io.search import find_scans

SHAPE = (20, 14)


def pixels(seed=0):
    rows, columns = np.indices(SHAPE)
    disc = ((rows - 9.5) / 8) ** 2 + ((columns - 6.5) / 5) ** 2 < 1
    return (disc * np.random.default_rng(seed).integers(90, 160, SHAPE)).astype(np.uint8)


def test_image_comes_back_upright_as_networks_take_it(tmp_path):
    Image.fromarray(pixels()).save(tmp_path / "a.png")
    volume = Volume.load(tmp_path / "a.png")
    assert volume.data.shape == (1, 14, 20, 1)
    assert volume.spacing.tolist() == [1, 1, 1]
    slices = to_slices(torch.from_numpy(volume.data), "axial")
    assert torch.equal(slices[0], read_image(tmp_path / "a.png"))


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "npy", "nii.gz"])
def test_all_kinds_of_slices_hold_the_same(tmp_path, suffix):
    path, image = tmp_path / f"a.{suffix}", pixels()
    if suffix == "npy":
        np.save(path, image)
    elif suffix == "nii.gz":
        nib.save(nib.Nifti1Image(image[::-1].T, np.eye(4)), path)
    else:
        Image.fromarray(image).save(path)
    data = Volume.load(path).data[0, :, ::-1, 0].T
    assert np.allclose(data / data.max(), image / image.max())


def test_colours_are_sequences_unless_they_are_grey(tmp_path):
    grey = np.repeat(pixels()[..., None], 3, -1)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([pixels(k) for k in range(3)], -1)).save(tmp_path / "colour.png")
    assert len(Volume.load(tmp_path / "grey.png").data) == 1
    assert len(Volume.load(tmp_path / "colour.png").data) == 3


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 2**16))
def test_any_array_of_two_axes_is_read_as_it_is(tmp_path_factory, height, width, seed):
    image = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    path = tmp_path_factory.mktemp("arrays") / "a.npy"
    np.save(path, image)
    assert np.array_equal(Volume.load(path).data[0, :, ::-1, 0].T, image)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((4, 5, 40), np.float32), "a volume needs a voxel size, so save it as NIfTI"),
        (np.array([{"a": 1}], object), "cannot be read"),
        (np.array(["text"]), "expected real numbers"),
        (np.zeros(0, np.float32), "expected real numbers"),
        (np.full((4, 5), np.nan, np.float32), "NaN or infinite"),
    ],
)
def test_array_that_is_no_slice_is_refused_by_name(tmp_path, content, message):
    np.save(tmp_path / "a.npy", content, allow_pickle=True)
    with pytest.raises(VolumeError, match=message) as refusal:
        Volume.load(tmp_path / "a.npy")
    assert str(refusal.value).startswith(f"{tmp_path / 'a.npy'}: ")


def test_file_that_is_no_image_or_too_large_is_refused_by_name(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    Image.fromarray(pixels()).save(tmp_path / "b.png")
    with pytest.raises(VolumeError, match=r"a\.png: expected an image"):
        Volume.load(tmp_path / "a.png")
    with pytest.raises(VolumeError, match=r"b\.png: expected at most 10 pixels"):
        Volume.load(tmp_path / "b.png", options=ReadOptions(max_voxels=10))


def test_folder_of_images_is_searched_where_there_is_no_volume(tmp_path):
    for name in ("b.png", "a.tif", "notes.txt"):
        Image.fromarray(pixels()).save(tmp_path / name, "PNG")
    search = find_scans([tmp_path])
    assert [path.name for path in search.scans] == ["a.tif", "b.png"]
    assert "2 single slices have no voxel size" in search.describe_rest()[-1]
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4)), np.eye(4)), tmp_path / "scan.nii.gz")
    assert [path.name for path in find_scans([tmp_path]).scans] == ["scan.nii.gz"]


def test_whole_slice_that_is_bright_is_taken_for_a_head():
    brain = np.ones((20, 14, 1), bool)
    assert "--mask" in head_warning(brain, 0.001)
    assert head_warning((pixels()[::-1].T > 0)[..., None], 0.001) is None
