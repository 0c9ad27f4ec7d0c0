"""What strangers' files hold: formats, lies about size, and what is no file at all."""

import gzip
import os
import resource
import time
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from diffad.config.reading import MAX_VOXELS, ReadOptions
from diffad.data import volume_file
from diffad.data.volume import Volume, VolumeError
from tests.helpers.nifti import ORIENTATIONS, affine_for, ramp, write, write_image

BIG = {"dim": [3, 2000, 2000, 1500, 1, 1, 1, 1]}
SHAPE = (5, 7, 4)
AFFINE = affine_for(ORIENTATIONS[13])


def save_any(path, data=None):
    """Write one volume in the format of the suffix."""
    data = ramp(dtype=np.int16) if data is None else data
    suffix = path.name.lower().partition(".")[2]
    if suffix.startswith("mg"):
        image = nib.MGHImage(data, AFFINE)
    elif suffix == "hdr":
        image = nib.Nifti1Pair(data, AFFINE)
    else:
        image = nib.Nifti1Image(data, AFFINE)
    plain = path.with_name(path.name.lower())
    nib.save(image, plain)
    for written in plain.parent.iterdir():
        if path.name != plain.name:
            written.rename(written.with_name(written.name.replace(suffix, suffix.upper())))
    return path


@pytest.mark.parametrize("name", ["s.nii", "s.NII", "s.NII.GZ", "s.mgz", "s.MGZ", "s.mgh", "s.hdr"])
def test_every_format_is_the_same_volume_and_its_maps_are_nifti(tmp_path, name):
    save_any(tmp_path / "in.nii.gz")
    expected, volume = Volume.load(tmp_path / "in.nii.gz"), Volume.load(save_any(tmp_path / name))
    np.testing.assert_array_equal(volume.data, expected.data)
    np.testing.assert_allclose(volume.affine, expected.affine, atol=1e-4)
    volume.save(volume.data[0], tmp_path / "map.nii.gz")
    image = nib.load(tmp_path / "map.nii.gz")
    assert type(image) is nib.Nifti1Image
    np.testing.assert_array_equal(image.get_fdata(), ramp())
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-4)


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
def test_pair_is_read_from_either_of_its_files_in_small_and_capital_letters(tmp_path, kind):
    nib.save(kind(ramp(dtype=np.int16), AFFINE), tmp_path / "p.hdr")
    for name in ("p.hdr", "p.img"):
        np.testing.assert_array_equal(Volume.load(tmp_path / name).data.max(), ramp().max())
    (tmp_path / "p.hdr").rename(tmp_path / "p.HDR")
    (tmp_path / "p.img").rename(tmp_path / "p.IMG")
    for name in ("p.HDR", "p.IMG"):
        volume = Volume.load(tmp_path / name)
        volume.save(volume.data[0], tmp_path / "map.nii")
        np.testing.assert_array_equal(nib.load(tmp_path / "map.nii").get_fdata(), ramp())


@pytest.mark.parametrize(("gone", "message"), [("hdr", r"its header p\.hdr"), ("img", r"its image p\.img")])
def test_half_a_pair_names_the_other_half(tmp_path, gone, message):
    nib.save(nib.Nifti1Pair(ramp(), AFFINE), tmp_path / "p.hdr")
    (tmp_path / f"p.{gone}").unlink()
    rest = "img" if gone == "hdr" else "hdr"
    with pytest.raises(VolumeError, match=message):
        Volume.load(tmp_path / f"p.{rest}")


def test_cut_image_of_a_pair_is_refused(tmp_path):
    nib.save(nib.Nifti1Pair(ramp(), AFFINE), tmp_path / "p.hdr")
    os.truncate(tmp_path / "p.img", 100)
    with pytest.raises(VolumeError, match="found a file of 100 bytes"):
        Volume.load(tmp_path / "p.hdr")


@pytest.mark.parametrize("kind", [nib.AnalyzeImage, nib.Spm99AnalyzeImage, nib.Spm2AnalyzeImage])
def test_analyze_is_read_with_a_warning_that_it_has_no_orientation(tmp_path, kind):
    nib.save(kind(ramp(dtype=np.int16), np.diag([-3, 4, 5, 1])), tmp_path / "a.hdr")
    (tmp_path / "a.mat").unlink(missing_ok=True)
    volume = Volume.load(tmp_path / "a.img")
    assert any("Analyze file has no orientation" in w and "LAS" in w for w in volume.warnings)
    np.testing.assert_allclose(volume.spacing, (3, 4, 5))
    volume.save(volume.data[0], tmp_path / "map.nii.gz")
    after, before = nib.load(tmp_path / "map.nii.gz"), nib.load(tmp_path / "a.hdr")
    np.testing.assert_array_equal(after.get_fdata(), ramp())
    np.testing.assert_allclose(after.affine, before.affine)


def test_mgh_without_orientation_is_named(tmp_path):
    path = save_any(tmp_path / "s.mgh")
    content = bytearray(path.read_bytes())
    content[28:30] = b"\0\0"
    path.write_bytes(content)
    assert any("goodRASFlag is 0" in warning for warning in Volume.load(path).warnings)


def test_data_on_a_surface_are_no_volume(tmp_path):
    nib.save(
        nib.MGHImage(np.arange(40000, dtype=np.float32).reshape(-1, 1, 1), np.eye(4)), tmp_path / "a.mgh"
    )
    with pytest.raises(VolumeError, match=r"expected a volume, or a slice, found a line"):
        Volume.load(tmp_path / "a.mgh")


def test_single_slice_is_a_volume(tmp_path):
    path = write(tmp_path / "a.nii", ramp((5, 7, 1)), np.diag([30, 40, 5, 1]))
    assert Volume.load(path).data.shape == (1, 5, 7, 1)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("limit", [MAX_VOXELS, 10**11])
def test_small_file_that_claims_to_be_huge_is_refused_at_once(tmp_path, suffix, limit):
    path = write(tmp_path / f"x{suffix}", ramp((30, 30, 30), np.int16), **BIG)
    tracemalloc.start()
    begin = time.perf_counter()
    with pytest.raises(VolumeError, match=r"expected a readable (file of at most|NIfTI file of \d+ bytes)"):
        Volume.load(path, options=ReadOptions(max_voxels=limit))
    seconds, (_, peak) = time.perf_counter() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 1
    assert peak < 2**24


def test_limit_of_voxels_counts_all_channels(tmp_path):
    path = write(tmp_path / "x.nii", ramp((*SHAPE, 2)))
    assert Volume.load(path, options=ReadOptions(max_voxels=280)).data.size == 280
    with pytest.raises(VolumeError, match=r"at most 279 voxels, found 280 .*--max-voxels raises"):
        Volume.load(path, options=ReadOptions(max_voxels=279))
    with pytest.raises(ValueError, match="max_voxels: expected at least 1 voxel"):
        ReadOptions(max_voxels=0)


def test_bomb_after_the_voxels_is_not_decompressed(tmp_path, monkeypatch):
    monkeypatch.setattr(volume_file, "MAX_TRAILER", 2**20)
    content = write(tmp_path / "x.nii", ramp()).read_bytes()
    bomb = gzip.compress(bytes(2**27), 9)
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(content) + bomb)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(VolumeError, match="at most 1048576 bytes after its voxels"):
        Volume.load(tmp_path / "x.nii.gz")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**16  # kB


def test_little_after_the_voxels_is_read_past_and_its_checksum_verified(tmp_path):
    content = write(tmp_path / "x.nii", ramp()).read_bytes() + bytes(1000)
    compressed = bytearray(gzip.compress(content))
    (tmp_path / "x.nii.gz").write_bytes(compressed)
    np.testing.assert_array_equal(
        np.sort(Volume.load(tmp_path / "x.nii.gz").data.ravel()), np.sort(ramp().ravel())
    )
    compressed[-8] ^= 1
    (tmp_path / "x.nii.gz").write_bytes(compressed)
    with pytest.raises(VolumeError, match="CRC"):
        Volume.load(tmp_path / "x.nii.gz")


def test_voxels_are_the_same_in_pieces_as_in_one(tmp_path, monkeypatch):
    path = write(tmp_path / "x.nii.gz", ramp((*SHAPE, 2), np.int16), AFFINE, scl_slope=0.1, scl_inter=-3)
    whole = Volume.load(path).data
    monkeypatch.setattr(volume_file, "CHUNK", 9)
    np.testing.assert_array_equal(Volume.load(path).data, whole)
    oracle = nib.as_closest_canonical(nib.load(path)).get_fdata(dtype=np.float32)
    np.testing.assert_array_equal(np.moveaxis(whole, 0, -1), oracle)


ODD = {
    "a named pipe": os.mkfifo,
    "a character device": lambda path: path.symlink_to("/dev/zero"),
    "a link that leads back to itself": lambda path: path.symlink_to(path.name),
    "datalad get": lambda path: path.symlink_to("../.git/annex/objects/a/b/KEY/KEY"),
    "git lfs pull": lambda path: path.write_text(
        "version https://git-lfs.github.com/spec/v1\noid x\nsize 1\n"
    ),
}


@pytest.mark.parametrize("name", ["x.nii.gz", "x.mgz", "x.hdr"])
@pytest.mark.parametrize("finding", ODD)
def test_what_is_no_file_with_content_is_refused_without_waiting(tmp_path, finding, name):
    ODD[finding](tmp_path / name)
    (tmp_path / "x.img").touch()
    with pytest.raises(VolumeError, match=rf"{name}: expected a NIfTI file, found .*{finding}"):
        Volume.load(tmp_path / name)


def test_header_bytes_are_never_voxels(tmp_path):
    path = write_image(tmp_path / "x.nii", nib.Nifti1Image(ramp(), AFFINE), vox_offset=0)
    expected = Volume.load(write(tmp_path / "y.nii", ramp(), AFFINE))
    volume = Volume.load(path)
    np.testing.assert_array_equal(volume.data, expected.data)
    assert any("vox_offset is 0" in w and "read from byte 352" in w for w in volume.warnings)
    second = write_image(tmp_path / "z.nii", nib.Nifti2Image(ramp(), AFFINE), vox_offset=0)
    np.testing.assert_array_equal(Volume.load(second).data, expected.data)
    assert any("read from byte 544" in w for w in Volume.load(second).warnings)


@pytest.mark.parametrize("offset", [1, 340, -352, np.nan, np.inf, 352.5, 1e30, 2**27])
def test_voxels_that_begin_nowhere_are_refused(tmp_path, offset):
    path = write(tmp_path / "x.nii", ramp(), vox_offset=offset)
    with pytest.raises(VolumeError, match=r"voxels that begin between byte 352 and .* \(vox_offset\)"):
        Volume.load(path)


def test_voxels_that_begin_beyond_the_file_are_refused(tmp_path):
    with pytest.raises(VolumeError, match="as its header claims, found a file of 912 bytes"):
        Volume.load(write(tmp_path / "x.nii", ramp(), vox_offset=4096))


@pytest.mark.parametrize("slope", [np.nan, np.inf])
def test_slope_that_is_no_number_is_named(tmp_path, slope):
    volume = Volume.load(write(tmp_path / "x.nii", ramp(), scl_slope=slope))
    assert volume.data.max() == ramp().max()
    assert any("slope of the intensities" in warning for warning in volume.warnings)


def test_time_series_is_named(tmp_path):
    assert any("40 volumes" in w for w in Volume.load(write(tmp_path / "x.nii", ramp((*SHAPE, 40)))).warnings)


def test_slope_of_zero_means_no_scaling_without_a_word(tmp_path):
    volume = Volume.load(
        write(tmp_path / "x.nii", ramp(), np.diag([10, 10, 10, 1]), scl_slope=0, sform_code=1)
    )
    assert volume.data.max() == ramp().max()
    assert volume.warnings == ()


def test_file_called_mgh_that_is_none_is_refused_without_a_word_of_nibabel(tmp_path, caplog):
    path = save_any(tmp_path / "s.nii")
    other = path.rename(tmp_path / "s.mgh")
    with pytest.raises(VolumeError, match="expected a readable MGH file, of version 1, found version"):
        Volume.load(other)
    assert not caplog.records
