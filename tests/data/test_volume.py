"""Scans in, maps out: the same place in the file, whatever its orientation, type and version."""

import errno
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diffad.data.volume import Volume, VolumeError
from tests.helpers.nifti import ORIENTATIONS, SHAPE, SPACING, affine_for, ramp, write, write_image


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    orientation=st.sampled_from(ORIENTATIONS),
    dtype=st.sampled_from([np.uint8, np.int16, np.float32, np.float64, ">i2", ">f4"]),
    channels=st.sampled_from([None, 1, 3]),
    kind=st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]),
    degrees=st.sampled_from([0.0, 8.0, -21.0]),
    scale=st.sampled_from([None, (0.25, -3.0)]),
    codes=st.sampled_from([(1, 1), (0, 2), (3, 0), (2, 4)]),
    suffix=st.sampled_from([".nii", ".nii.gz"]),
    marker=st.tuples(*(st.integers(0, n - 1) for n in SHAPE)),
)
def test_marked_voxel_comes_back_at_its_native_index(
    tmp_path, orientation, dtype, channels, kind, degrees, scale, codes, suffix, marker
):
    data = np.zeros(SHAPE if channels is None else (*SHAPE, channels), dtype=dtype)
    data[marker] = 100
    scan = kind(data, affine_for(orientation, degrees=degrees))
    scan.header.set_data_dtype(data.dtype)
    scan.set_qform(scan.affine, codes[0])
    scan.set_sform(scan.affine, codes[1])
    path, out = tmp_path / f"scan{suffix}", tmp_path / f"map{suffix}"
    fields = {} if scale is None else {"scl_slope": scale[0], "scl_inter": scale[1]}
    write_image(path, scan, **fields)

    volume = Volume.load(path)
    assert volume.data.dtype == np.float32
    assert volume.data.shape[0] == (channels or 1)
    assert nib.aff2axcodes(volume.affine) == ("R", "A", "S")
    slope, inter = scale or (1.0, 0.0)
    assert volume.data.max() == pytest.approx(100 * slope + inter)
    assert volume.data.min() == pytest.approx(inter)
    world = nib.load(path).affine @ [*marker, 1]
    hottest = np.unravel_index(volume.data[0].argmax(), volume.data.shape[1:])
    np.testing.assert_allclose(volume.affine @ [*hottest, 1], world, atol=1e-3)

    volume.save(volume.data[0] == volume.data[0].max(), out, dtype=np.uint8)
    before, after = nib.load(path), nib.load(out)
    assert type(after) is kind
    assert after.shape == SHAPE
    np.testing.assert_array_equal(after.affine, before.affine)
    assert np.argwhere(np.asarray(after.dataobj)).tolist() == [list(marker)]
    for name in ("qform_code", "sform_code", "pixdim", "srow_x", "quatern_b", "qoffset_x", "xyzt_units"):
        np.testing.assert_array_equal(after.header[name], before.header[name], err_msg=name)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(orientation=st.sampled_from(ORIENTATIONS), seed=st.integers(0, 2**31))
def test_float_map_survives_the_round_trip_bit_for_bit(tmp_path, orientation, seed):
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(ramp(), affine_for(orientation)), path)
    volume = Volume.load(path)
    image = np.random.default_rng(seed).normal(size=volume.data.shape[1:]).astype(np.float32)
    volume.save(torch.from_numpy(image), tmp_path / "map.nii.gz")
    np.testing.assert_array_equal(Volume.load(tmp_path / "map.nii.gz").data[0], image)


def test_all_forty_eight_orientations_agree_with_nibabel(tmp_path):
    for orientation in ORIENTATIONS:
        image = nib.Nifti1Image(ramp(), affine_for(orientation))
        nib.save(image, tmp_path / "scan.nii")
        volume, oracle = Volume.load(tmp_path / "scan.nii"), nib.as_closest_canonical(image)
        np.testing.assert_array_equal(volume.data[0], np.asarray(oracle.dataobj))
        np.testing.assert_allclose(volume.affine, oracle.affine, atol=1e-5)
        np.testing.assert_allclose(sorted(volume.spacing), SPACING, rtol=1e-6)


def test_header_text_and_extensions_are_kept_but_scan_values_are_not(tmp_path):
    scan = nib.Nifti1Image(ramp(dtype=np.int16), np.eye(4))
    scan.header["descrip"], scan.header["cal_max"] = b"scanner text", 900
    scan.header.set_intent("label")
    scan.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"kept"))
    nib.save(scan, tmp_path / "scan.nii")
    volume = Volume.load(tmp_path / "scan.nii")
    volume.save(volume.data[0], tmp_path / "map.nii")
    header = nib.load(tmp_path / "map.nii").header
    assert header["descrip"].item() == b"scanner text"
    assert header.extensions[0].get_content().startswith(b"kept")
    assert header["cal_max"] == 0
    assert header.get_intent()[0] == "none"
    np.testing.assert_array_equal(nib.load(tmp_path / "map.nii").get_fdata(), ramp())


def test_geometry_without_qform_and_sform_is_kept(tmp_path):
    path = write(tmp_path / "a.nii", ramp(), sform_code=0, qform_code=0)
    volume = Volume.load(path)
    volume.save(volume.data[0], tmp_path / "map.nii")
    after, before = nib.load(tmp_path / "map.nii"), nib.load(path)
    np.testing.assert_array_equal(after.affine, before.affine)
    assert (int(after.header["qform_code"]), int(after.header["sform_code"])) == (0, 0)


def test_files_on_one_grid_stack_as_channels_in_order(tmp_path):
    affine = affine_for(ORIENTATIONS[13])
    paths = [write(tmp_path / f"{c}.nii.gz", ramp() + 1000 * c, affine) for c in range(3)]
    volume = Volume.load(paths)
    assert volume.data.shape[0] == 3
    assert [int(c.min()) for c in volume.data] == [0, 1000, 2000]
    assert volume.path == paths[0]


def test_channels_are_written_as_the_fourth_axis(tmp_path):
    path = write(tmp_path / "a.nii", ramp((*SHAPE, 2)), affine_for(ORIENTATIONS[20]))
    volume = Volume.load(str(path))
    volume.save(volume.data, tmp_path / "twin.nii")
    np.testing.assert_array_equal(nib.load(tmp_path / "twin.nii").get_fdata(), nib.load(path).get_fdata())


def test_volume_made_from_arrays_can_be_saved(tmp_path):
    affine = affine_for(ORIENTATIONS[0], degrees=5)
    volume = Volume(ramp((1, *SHAPE), np.float64), affine)
    volume.save(volume.data[0], tmp_path / "map.nii.gz")
    again = Volume.load(tmp_path / "map.nii.gz")
    np.testing.assert_allclose(again.affine, affine, atol=1e-5)
    np.testing.assert_array_equal(again.data, volume.data)
    assert volume.path is None
    np.testing.assert_allclose(volume.spacing, SPACING)


def test_trailing_axes_of_length_one_are_dropped(tmp_path):
    assert Volume.load(write(tmp_path / "a.nii", ramp((*SHAPE, 1)))).data.shape == (1, *SHAPE)
    assert Volume.load(write(tmp_path / "b.nii", ramp((*SHAPE, 2, 1)))).data.shape == (2, *SHAPE)


def spoiled(value):
    data = ramp()
    data[1, 2, 3] = data[0, 0, 0] = value
    return data


RGB = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
FLAT = {"srow_x": [1, 0, 0, 0], "srow_y": [0, 1, 0, 0], "srow_z": [0, 0, 0, 0]}
BAD_FILES = {
    "nan": (spoiled(np.nan), {}, "2 of 140 that are NaN"),
    "infinite": (spoiled(np.inf), {}, "2 of 140 that are NaN or infinite"),
    "beyond float32": (spoiled(1.0).astype(np.float64) * 1e300, {}, "NaN or infinite"),
    "one axis": (ramp((7,)), {}, r"found 1-D \(7,\)"),
    "five axes": (ramp((*SHAPE, 2, 3)), {}, "found 5-D"),
    "no voxels": (ramp(), {"dim": [3, 5, 0, 4, 1, 1, 1, 1]}, "empty one"),
    "constant": (np.full(SHAPE, 7, np.int16), {}, "found 7 everywhere in channel 0"),
    "constant channel": (np.stack([ramp(), 0 * ramp()], -1), {}, "found 0 everywhere in channel 1"),
    "zero spacing": (ramp(), {"pixdim": [1, 1, 0, 1, 1, 1, 1, 1]}, "positive voxel spacing"),
    "negative spacing": (ramp(), {"pixdim": [1, 1, 1, -2, 1, 1, 1, 1]}, "positive voxel spacing"),
    "nan spacing": (ramp(), {"pixdim": [1, np.nan, 1, 2, 1, 1, 1, 1]}, "positive voxel spacing"),
    "singular affine": (ramp(), FLAT, "invertible affine"),
    "nan affine": (ramp(), {"srow_y": [0, np.nan, 0, 0]}, "invertible affine"),
    "complex": (ramp().astype(np.complex64), {}, "one real number for each voxel"),
    "colour": (RGB, {}, "one real number for each voxel"),
    "unknown type": (ramp(), {"datatype": 1234}, "readable NIfTI file"),
    "huge": (ramp(), {"dim": [4, 32767, 32767, 32767, 32767, 1, 1, 1]}, "at most 1073741824 voxels"),
}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("name", BAD_FILES)
def test_unusable_scan_raises_one_error_naming_file_expectation_and_finding(tmp_path, name, suffix):
    data, fields, message = BAD_FILES[name]
    path = write(tmp_path / f"bad{suffix}", data, **fields)
    with pytest.raises(VolumeError, match=message) as caught:
        Volume.load(path)
    assert str(path) in str(caught.value)
    assert "expected" in str(caught.value)
    assert "found" in str(caught.value)


def test_file_cut_anywhere_raises(tmp_path):
    for suffix in (".nii", ".nii.gz"):
        whole = write(tmp_path / f"whole{suffix}", ramp()).read_bytes()
        path = tmp_path / f"cut{suffix}"
        for length in (0, 1, 10, 100, 346, 350, len(whole) // 2, len(whole) - 3, len(whole) - 1):
            if length < len(whole):
                path.write_bytes(whole[:length])
                with pytest.raises(VolumeError, match="readable NIfTI") as caught:
                    Volume.load(path)
                assert str(path) in str(caught.value)


def test_damaged_compression_raises(tmp_path):
    raw = bytearray(write(tmp_path / "a.nii.gz", ramp()).read_bytes())
    raw[len(raw) // 2] ^= 255
    (tmp_path / "a.nii.gz").write_bytes(raw)
    with pytest.raises(VolumeError, match="readable NIfTI"):
        Volume.load(tmp_path / "a.nii.gz")


def test_other_files_folders_and_missing_files_raise(tmp_path):
    (tmp_path / "note.nii").write_text("hello " * 200)
    with pytest.raises(VolumeError, match=r"note\.nii.*signature"):
        Volume.load(tmp_path / "note.nii")
    with pytest.raises(VolumeError, match=r"gone\.nii\.gz.*no such file"):
        Volume.load(tmp_path / "gone.nii.gz")
    with pytest.raises(VolumeError, match="found a folder"):
        Volume.load(tmp_path)
    with pytest.raises(VolumeError, match="empty list"):
        Volume.load([])


@pytest.mark.parametrize("change", ["shape", "affine"])
def test_files_on_different_grids_do_not_stack(tmp_path, change):
    first = write(tmp_path / "first.nii", ramp())
    shape = (5, 7, 5) if change == "shape" else SHAPE
    affine = np.diag([1, 1, 2.5 if change == "affine" else 2, 1])
    second = write(tmp_path / "second.nii", ramp(shape), affine)
    with pytest.raises(VolumeError, match=r"second\.nii.*first\.nii"):
        Volume.load([first, second])


def test_arrays_of_wrong_shape_or_geometry_raise():
    with pytest.raises(VolumeError, match=r"\(C, I, J, K\)"):
        Volume(ramp(), np.eye(4))
    with pytest.raises(VolumeError, match="affine"):
        Volume(ramp((1, *SHAPE)), np.eye(3))
    nowhere = np.eye(4)
    nowhere[0, 3] = np.nan
    for affine in (np.zeros((4, 4)), np.diag([1.0, 0.0, 1.0, 1.0]), nowhere):
        with pytest.raises(VolumeError, match="invertible"):
            Volume(ramp((1, *SHAPE)), affine)


def test_maps_that_do_not_fit_raise(tmp_path):
    volume = Volume(ramp((1, *SHAPE)), np.eye(4))
    with pytest.raises(VolumeError, match="expected a map"):
        volume.save(ramp((5, 7, 3)), tmp_path / "map.nii")
    with pytest.raises(VolumeError, match=r"\.nii or"):
        volume.save(ramp(), tmp_path / "map.png")
    with pytest.raises(VolumeError, match="uint8 can hold"):
        volume.save(ramp() + 0.5, tmp_path / "map.nii", dtype=np.uint8)
    assert list(tmp_path.iterdir()) == []


def test_volume_of_a_voxel_is_that_of_its_edges_however_they_lie():
    turned = Volume(ramp((1, *SHAPE)), affine_for([(0, -1), (1, -1), (2, 1)], degrees=20.0))
    assert turned.voxel_ml == pytest.approx(np.prod(SPACING) / 1000)
    sheared = np.diag([2.0, 3.0, 4.0, 1.0])
    sheared[0, 1] = 1.5  # an edge leans over, but base and height stay
    assert Volume(ramp((1, *SHAPE)), sheared).voxel_ml == pytest.approx(0.024)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_full_disk_leaves_the_old_map_and_no_rubbish(tmp_path, monkeypatch, failing):
    volume, path = Volume(ramp((1, *SHAPE)), np.eye(4)), tmp_path / "map.nii.gz"
    volume.save(volume.data[0], path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os if failing == "fsync" else Path, failing, full)
    with pytest.raises(
        OSError, match=r"map\.nii\.gz: cannot be written \(No space left on device\)"
    ) as caught:
        volume.save(volume.data[0] + 1, path)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["map.nii.gz"]


def test_interrupt_leaves_the_old_map_and_no_rubbish(tmp_path, monkeypatch):
    volume, path = Volume(ramp((1, *SHAPE)), np.eye(4)), tmp_path / "map.nii"
    volume.save(volume.data[0], path)
    before = path.read_bytes()

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        volume.save(volume.data[0] + 1, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["map.nii"]


def test_compressed_map_carries_no_time(tmp_path):
    path = tmp_path / "map.nii.gz"
    volume = Volume(ramp((1, *SHAPE)), np.eye(4))
    volume.save(volume.data[0], path)
    assert path.read_bytes()[4:8] == bytes(4)  # RFC 1952: 0 means that no time stamp is available


def test_same_map_makes_the_same_file(tmp_path):
    volume = Volume(ramp((1, *SHAPE)), np.eye(4))
    for name in ("a", "b"):
        volume.save(volume.data[0], tmp_path / f"{name}.nii.gz")
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


@pytest.mark.shared
@pytest.mark.parametrize("name", ["glioma_flair_head", "healthy_t1_head", "ct_template_hu_stripped"])
def test_real_scan_comes_back_on_its_own_grid(shared_dir, tmp_path, name):
    path = shared_dir / "data" / "volumes" / f"{name}.nii.gz"
    volume = Volume.load(path)
    volume.save(volume.data[0], tmp_path / "map.nii.gz")
    before, after = nib.load(path), nib.load(tmp_path / "map.nii.gz")
    assert after.shape == before.shape
    assert nib.aff2axcodes(after.affine) == nib.aff2axcodes(before.affine)
    np.testing.assert_array_equal(after.affine, before.affine)
    np.testing.assert_array_equal(after.get_qform(), before.get_qform())
    np.testing.assert_array_equal(after.header["pixdim"], before.header["pixdim"])
    values = np.asarray(before.dataobj, dtype=np.float32)
    np.testing.assert_array_equal(np.asarray(after.dataobj), values)
