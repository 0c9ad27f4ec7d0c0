"""Files of other people's scanners and archives: each named, none waited for, and the rest go on."""

import os

import nibabel as nib
import numpy as np
import pytest

from diffad.cli import main
from diffad.config.reading import ReadOptions
from diffad.io.digests import hash_file
from diffad.predict.load import count_voxels
from tests.helpers.cohorts import AFFINE, SHAPE, brain, info, table, write


def make_pipe(path):
    os.mkfifo(path)


def make_device(path):
    path.symlink_to("/dev/zero")


def make_random(path):
    path.symlink_to("/dev/urandom")


def make_loop(path):
    path.symlink_to(path.name)


def make_pointer(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")


def make_liar(path):
    write(path, brain())
    raw = bytearray(nib.load(path).to_bytes())
    raw[40:48] = np.array([3, 2000, 2000, 1500], "<i2").tobytes()
    path.write_bytes(raw)


ODD = {
    make_pipe: "found a named pipe",
    make_device: "found a character device",
    make_random: "found a character device",
    make_pointer: "fetch its content first with git lfs pull",
    make_liar: "expected a readable file of at most 1073741824 voxels",
}


def test_what_is_no_scan_is_named_and_the_rest_go_on(predict, tmp_path):
    scans = [write(tmp_path / "good.nii.gz", brain())]
    for make in ODD:
        scans.append(tmp_path / f"{make.__name__}.nii")
        make(scans[-1])
    code, _ = predict(scans=scans)
    rows = table(predict.out)
    assert code == 1
    assert rows["good"]["status"] == "ok"
    for make, finding in ODD.items():
        assert rows[make.__name__]["status"] == "failed"
        assert f"{make.__name__}.nii: expected" in rows[make.__name__]["error"]
        assert finding in rows[make.__name__]["error"]


@pytest.mark.parametrize("option", ["--mask", "--region"])
@pytest.mark.parametrize("make", [make_pipe, make_device, make_pointer])
def test_mask_or_region_that_is_no_file_fails_the_scan_without_waiting(
    predict, cohort, tmp_path, option, make
):
    make(tmp_path / "s0_odd.nii.gz")
    (tmp_path / "s0.nii.gz").write_bytes((cohort / "s0.nii.gz").read_bytes())
    code, report = predict(option, str(tmp_path / "s0_odd.nii.gz"), scans=[tmp_path / "s0.nii.gz"])
    assert code != 0
    assert "s0_odd.nii.gz" in report


@pytest.mark.parametrize("make", [make_pipe, make_device, make_loop])
def test_digest_and_size_of_what_is_no_file_come_at_once(tmp_path, make):
    make(tmp_path / "x.nii.gz")
    assert hash_file(tmp_path / "x.nii.gz") == "unreadable"
    assert count_voxels([tmp_path / "x.nii.gz"], prepares=False) == 0


def test_voxels_are_counted_in_every_format(tmp_path):
    nib.save(nib.MGHImage(brain(), AFFINE), tmp_path / "a.mgz")
    nib.save(nib.Nifti1Pair(brain(), AFFINE), tmp_path / "b.hdr")
    for name in ("a.mgz", "b.hdr"):
        assert count_voxels([tmp_path / name], prepares=False) == np.prod(SHAPE)


def write_flip(path):
    image = nib.Nifti1Image(brain(), AFFINE)
    image.set_qform(np.diag([-1.0, 1, 1, 1]) @ AFFINE, 1)
    image.set_sform(AFFINE, 2)
    nib.save(image, path)
    return path


def test_trusted_orientation_is_part_of_what_the_maps_follow_from(predict, tmp_path):
    scan = write_flip(tmp_path / "s.nii.gz")
    assert predict(scans=[scan])[0] == 0
    stored_info = info(predict.out, "s")
    assert "the sform is taken; --trust qform takes the other" in " ".join(stored_info["warnings"])
    assert "trust" not in stored_info["request"]
    code, report = predict("--trust", "qform", scans=[scan])
    assert code == 1
    assert "made with other trust" in report
    assert predict("--trust", "qform", "--overwrite", scans=[scan])[0] == 0
    assert info(predict.out, "s")["request"]["trust"] == "qform"
    assert "the qform is taken" in " ".join(info(predict.out, "s")["warnings"])
    after, before = nib.load(predict.out / "s_anomaly.nii.gz"), nib.load(scan)
    np.testing.assert_array_equal(after.get_qform(), before.get_qform())
    np.testing.assert_array_equal(after.affine, before.affine)


def test_report_reads_the_scan_as_it_was_read_for_its_maps(predict, tmp_path):
    scan = write_flip(tmp_path / "s.nii.gz")
    assert predict("--trust", "qform", "--threshold", "0.05", scans=[scan])[0] == 0
    lesions = predict.out / "s_lesions.json"
    before = lesions.read_bytes()
    assert b"centre_mm" in before
    lesions.unlink()
    assert main(["report", str(predict.out)]) == 0
    assert lesions.read_bytes() == before


def test_limit_of_voxels_fails_a_scan_and_does_not_make_old_maps_other(predict, tmp_path):
    scan = write(tmp_path / "s.nii.gz", brain())
    code, report = predict("--max-voxels", "1000", scans=[scan])
    assert code == 1
    assert "at most 1000 voxels, found 6720" in report
    assert predict(scans=[scan])[0] == 0
    code, report = predict("--max-voxels", "7000", scans=[scan])
    assert (code, "1 done before" in report) == (0, True)
    assert ReadOptions().max_voxels == 2**30


@pytest.mark.parametrize("name", ["s.mgz", "s.hdr", "S.NII.GZ"])
def test_other_formats_become_the_maps_that_nifti_becomes(predict, tmp_path, name):
    kind = {"mgz": nib.MGHImage, "hdr": nib.Nifti1Pair}.get(name[2:], nib.Nifti1Image)
    nib.save(kind(brain(), AFFINE), tmp_path / name.lower())
    if name != name.lower():
        (tmp_path / name.lower()).rename(tmp_path / name)
    assert predict(scans=[tmp_path / name])[0] == 0
    image = nib.load(predict.out / f"{name[0]}_anomaly.nii.gz")
    np.testing.assert_allclose(image.affine, AFFINE)
    assert image.shape == SHAPE
