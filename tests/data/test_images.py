"""A folder of images is read whole or refused with the name of the file."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from diffad.config import SpaceConfig
from diffad.data.image_file import read_grey_image, read_pixels
from diffad.data.images import Images, infer_subject, read_image
from diffad.data.items import DataError
from tests.helpers.brains import save_image

SPACE = SpaceConfig(size=24)
ALL = {"shares": {"train": 1.0}, "space": SPACE}


@pytest.fixture
def folder(tmp_path):
    """Ten images of ten subjects, without folders for splits."""
    for i in range(10):
        save_image(tmp_path / f"sub-{i:02}_T1w.png", seed=i)
    return tmp_path


def test_eight_bits_are_read_as_shares_of_white(tmp_path):
    Image.fromarray(np.array([[0, 51], [255, 102]], np.uint8)).save(tmp_path / "a.png")
    torch.testing.assert_close(read_image(tmp_path / "a.png"), torch.tensor([[[0, 0.2], [1, 0.4]]]))


def test_sixteen_bits_keep_their_precision(tmp_path):
    values = np.array([[0, 1], [257, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray(values.astype(np.int32)).save(tmp_path / "b.tif")
    for name in ("a.png", "b.tif"):
        image = read_image(tmp_path / name)
        assert image.dtype == torch.float32
        torch.testing.assert_close(image * 65535, torch.from_numpy(values[None].astype(np.float32)))


def test_colour_becomes_three_channels(tmp_path):
    save_image(tmp_path / "a.png", channels=3)
    assert Images(str(tmp_path), **ALL)[0].image.shape == (3, 24, 24)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "1"])
def test_other_modes_become_grey(tmp_path, mode):
    Image.new(mode, (5, 4), 1).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (1, 4, 5)


def test_transparent_pixels_are_background(tmp_path):
    values = np.full((2, 2, 4), 200, np.uint8)
    values[..., 3] = 255
    values[0, 0, 3] = 0
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray(values[..., 2:]).save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        image = read_image(tmp_path / name)[0]
        assert image[0, 0] == 0
        torch.testing.assert_close(image[1], torch.full((2,), 200 / 255))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_image_of_several_pages_is_refused_with_their_number(tmp_path, suffix):
    pages = [Image.new("L", (5, 4), value) for value in (1, 2, 3)]
    pages[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match=rf"a\.{suffix}: expected an image of one page; .* found 3 pages"):
        read_image(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "tiff"])
def test_image_lies_as_its_exif_orientation_says(tmp_path, suffix):
    values = np.zeros((16, 24), np.uint8)
    values[:8, :8] = 255  # the corner at the upper left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    options = {"compression": "tiff_lzw"} if suffix == "tiff" else {}
    Image.fromarray(values).save(tmp_path / f"a.{suffix}", exif=exif, **options)
    image = read_image(tmp_path / f"a.{suffix}")[0]
    assert image.shape == (24, 16)
    assert image[:8, 8:].mean() > 0.95
    assert image[8:].mean() < 0.05


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_refused_without_waiting(tmp_path, make):
    make(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: expected an image, found a (named pipe|character device)"):
        read_image(tmp_path / "a.png")


def test_sixteen_bits_stay_grey_values_where_one_channel_is_asked_for(tmp_path):
    values = np.array([[0, 300], [257, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert read_pixels(tmp_path / "a.png").tolist() == values.tolist()
    torch.testing.assert_close(read_grey_image(tmp_path / "a.png")[0, 1], torch.tensor(300 / 65535))
    save_image(tmp_path / "b.png", channels=3)
    assert read_grey_image(tmp_path / "b.png").ndim == 2


def test_image_cut_off_anywhere_is_refused_by_name(tmp_path):
    whole = save_image(tmp_path / "whole.png").read_bytes()
    path = tmp_path / "broken.png"
    # The last 20 bytes are checksums and an end mark, without which all pixels are there.
    for length in range(0, len(whole) - 20, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"broken\.png: expected an image"):
            read_image(path)


@pytest.mark.parametrize("value", [np.nan, -0.5, 2.0])
def test_floats_outside_the_range_are_refused(tmp_path, value):
    Image.fromarray(np.full((4, 4), value, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif.*floats in \[0, 1\]"):
        read_image(tmp_path / "a.tif")


def test_unreadable_image_is_not_skipped(folder):
    (folder / "sub-03_T1w.png").write_text("no image")
    with pytest.raises(DataError, match=r"sub-03_T1w\.png: expected an image"):
        Images(str(folder), space=SPACE)


def test_mixed_sizes_are_refused(folder):
    save_image(folder / "sub-04_T1w.png", seed=4, size=(20, 18))
    with pytest.raises(
        DataError, match=r"sub-04_T1w\.png: expected shape \(1, 20, 16\).*found \(1, 20, 18\)"
    ):
        Images(str(folder), **ALL)


def test_grey_among_colour_is_refused(folder):
    save_image(folder / "sub-04_T1w.png", seed=4, channels=3)
    with pytest.raises(
        DataError, match=r"sub-04_T1w\.png: expected shape \(1, 20, 16\).*found \(3, 20, 16\)"
    ):
        Images(str(folder), **ALL)


def test_empty_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="expected images"):
        Images(str(tmp_path))
    with pytest.raises(DataError, match="absent: expected a folder"):
        Images(str(tmp_path / "absent"))


def test_missing_mask_is_named(folder):
    with pytest.raises(DataError, match=r"brain\.png: expected an image"):
        Images(str(folder), mask="brain.png")


def test_mask_of_another_size_is_refused(folder):
    save_image(folder / "brain.png", size=(8, 8))
    with pytest.raises(
        DataError, match=r"sub-.*expected a brain mask of the size \(20, 16\), found \(8, 8\)"
    ):
        Images(str(folder), mask="brain.png")


def test_mask_is_no_slice_and_cuts_all_slices(folder):
    half = np.zeros((20, 16), np.uint8)
    half[:, :8] = 255
    Image.fromarray(half).save(folder / "brain.png")
    data = Images(str(folder), mask="brain.png", **ALL)
    assert len(data) == 10
    item = data[0]
    assert item.mask[:, :, 12:].sum() == 0
    assert item.mask[:, :, :12].sum() > 0
    assert not item.image[item.mask == 0].any()


@pytest.mark.parametrize("masked", [False, True])
def test_all_zero_slice_is_refused_by_name(folder, masked):
    Image.fromarray(np.zeros((20, 16), np.uint8)).save(folder / "sub-05_T1w.png")
    Image.fromarray(np.full((20, 16), 255, np.uint8)).save(folder / "brain.png")
    reason = "expected contrast" if masked else "got an empty one"
    with pytest.raises(DataError, match=rf"sub-05_T1w\.png: .*{reason}"):
        Images(str(folder), **(ALL | {"mask": "brain.png"} if masked else ALL | {"limit": 7}))


def test_limit_keeps_the_first_slices(folder):
    save_image(folder / "a_mask.png")
    whole, part = (Images(str(folder), mask="a_mask.png", limit=limit, **ALL) for limit in (None, 3))
    assert [item.subject for item in part] == ["sub-00", "sub-01", "sub-02"]
    assert torch.equal(part[2].image, whole[2].image)


def test_folder_without_splits_is_shared_out_by_subject(folder):
    for i in range(10):
        save_image(folder / f"sub-{i:02}_z90.png", seed=100 + i)
    train, val = (Images(str(folder), split, SPACE) for split in ("train", "val"))
    subjects = [{item.subject for item in part} for part in (train, val)]
    assert (len(train), len(val)) == (16, 4)
    assert not subjects[0] & subjects[1]
    other = Images(str(folder), "val", SPACE, split_seed=1)
    assert {item.subject for item in other} != subjects[1]


def test_folders_of_splits_are_used_as_they_are(tmp_path):
    for i in range(3):
        save_image(tmp_path / "train" / f"sub-{i}.png", seed=i)
    save_image(tmp_path / "val" / "sub-9.png", seed=9)
    assert [len(Images(str(tmp_path), split, SPACE)) for split in ("train", "val")] == [3, 1]
    with pytest.raises(DataError, match=r"split 'test', found these splits: train \(3\), val \(1\)"):
        Images(str(tmp_path), "test", SPACE)


@pytest.mark.parametrize("split", ["train", "val"])
def test_subject_in_two_given_splits_is_refused(tmp_path, split):
    for i, name in enumerate(["train/sub-1_a", "train/sub-2_a", "val/sub-2_b"]):
        save_image(tmp_path / f"{name}.png", seed=i)
    with pytest.raises(DataError, match=r"each subject in one split, found sub-2 \(train, val\)"):
        Images(str(tmp_path), split, SPACE)


@pytest.mark.parametrize("split", ["train", "val"])
def test_same_pixels_in_two_splits_are_refused(tmp_path, split):
    for name, seed in (("train/sub-1", 1), ("train/sub-2", 2), ("val/sub-3", 1)):
        save_image(tmp_path / f"{name}.png", seed=seed)
    with pytest.raises(DataError, match=r"sub-1\.png \(train\) = .*sub-3\.png \(val\)"):
        Images(str(tmp_path), split, SPACE)


def test_same_pixels_in_one_split_are_reported(tmp_path):
    for name, seed in (("train/sub-1", 1), ("train/sub-2", 1), ("val/sub-3", 3)):
        save_image(tmp_path / f"{name}.png", seed=seed)
    with pytest.warns(UserWarning, match=r"several names: .*sub-1\.png = .*sub-2\.png"):
        assert len(Images(str(tmp_path), "train", SPACE)) == 2


@pytest.mark.parametrize(
    ("name", "subject"),
    [("sub-IXI012_T1w.png", "sub-IXI012"), ("IXI012-Guys.x.png", "IXI012-Guys"), ("sub-1.png", "sub-1")],
)
def test_subject_is_the_bids_entity_or_the_name(tmp_path, name, subject):
    assert infer_subject(tmp_path / name) == subject


@pytest.mark.shared
def test_real_slices_lie_in_the_grid(shared_dir):
    data = Images(
        str(shared_dir / "data" / "ixi_t1_axial"),
        "val",
        SpaceConfig(fov=233.0),
        mask="brain_mask.png",
        spacing=1.0,
        limit=4,
    )
    assert len(data) == 4
    assert all(item.image.shape == (1, 128, 128) and 0.1 < item.mask.mean() < 0.6 for item in data)


def test_images_in_folders_and_without_content_are_told(folder):
    (folder / "more").mkdir()
    save_image(folder / "more" / "sub-10_T1w.png", seed=10)
    (folder / "sub-11_T1w.png").symlink_to("gone.png")
    with pytest.warns(UserWarning, match=r"1 of 11 images has no content: .*in folders of it \(1\): .*more"):
        assert len(Images(str(folder), **ALL)) == 10
