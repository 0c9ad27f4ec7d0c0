"""Compressed images come out as they were, or are refused by the name of their compression."""

import json

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate

from diffad.cli import main
from diffad.data.volume_error import VolumeError
from diffad.dicom import decode, packages, read_series
from diffad.dicom.convert import convert_series
from diffad.io.extras import import_extra
from tests.dicom.conftest import list_files
from tests.helpers.dicom_heads import axial, ramp, tilted
from tests.helpers.dicom_series import Study, write_series

sitk = pytest.importorskip("SimpleITK")
DATA = ramp(axial())
SYNTAXES = {"RLE": "1.2.840.10008.1.2.5", "JPEG 2000": "1.2.840.10008.1.2.4.90"}


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("name", SYNTAXES)
def test_lossless_images_come_out_as_they_were(tmp_path, source, monkeypatch, name, is_known):
    if not is_known:
        monkeypatch.setattr("diffad.dicom.convert.CONVERTER_SYNTAXES", {"1.2.840.10008.1.2.1"})
    write_series(tmp_path / "plain", DATA, axial())
    write_series(tmp_path / "small", DATA, axial(), syntax=SYNTAXES[name])
    plain, small = (read_series(source(tmp_path / kind)) for kind in ("plain", "small"))
    assert np.array_equal(plain.data, small.data)
    assert plain.affine == pytest.approx(small.affine)


def test_lossless_jpeg_of_another_program_is_read(tmp_path, source):
    write_series(tmp_path / "plain", DATA, axial())
    plain = read_series(source(tmp_path / "plain"))
    for path in list_files(tmp_path / "plain"):
        compress_with_gdcm(path)
    again = source(tmp_path / "plain")
    assert pydicom.dcmread(again.files[0]).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.70"
    assert np.array_equal(read_series(again).data, plain.data)


def compress_with_gdcm(path):
    """Put the pixels of a file into lossless JPEG, as GDCM does."""
    writer, other = sitk.ImageFileWriter(), path.with_name("other.dcm")
    writer.SetImageIO("GDCMImageIO")
    writer.SetFileName(str(other))
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    writer.Execute(sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkUInt16))
    item, small = pydicom.dcmread(path), pydicom.dcmread(other)
    other.unlink()
    item.PixelData = small.PixelData
    item.file_meta.TransferSyntaxUID = small.file_meta.TransferSyntaxUID
    item["PixelData"].VR = "OB"
    item["PixelData"].is_undefined_length = True
    item.save_as(path)


def test_loss_of_compression_is_said(tmp_path, source):
    write_series(tmp_path, DATA, axial(), tags={"LossyImageCompression": "01"})
    assert "compressed with loss" in read_series(source(tmp_path)).warnings[0]


def test_deflated_images_come_out_as_they_were(tmp_path, source):
    write_series(tmp_path, DATA, axial())
    plain = read_series(source(tmp_path))
    for path in list_files(tmp_path):
        item = pydicom.dcmread(path)
        item.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
        item.save_as(path)
    assert np.array_equal(read_series(source(tmp_path)).data, plain.data)


def damage(path, syntax):
    item = pydicom.dcmread(path)
    item.file_meta.TransferSyntaxUID = syntax
    item.PixelData = encapsulate([b"no image at all"])
    item["PixelData"].VR = "OB"
    item["PixelData"].is_undefined_length = True
    item.save_as(path)


@pytest.mark.parametrize(
    ("syntax", "message"),
    [
        ("1.2.840.10008.1.2.4.90", "expected"),
        ("1.2.840.10008.1.2.4.80", "expected"),
        ("1.2.840.10008.1.2.4.201", r"found High-Throughput JPEG 2000.*export them without compression"),
    ],
)
def test_images_that_cannot_be_decoded_are_refused(tmp_path, source, syntax, message):
    write_series(tmp_path, DATA, axial())
    for path in list_files(tmp_path):
        damage(path, syntax)
    with pytest.raises(VolumeError, match=f"{tmp_path.name}.*{message}"):
        read_series(source(tmp_path))


def test_one_truncated_compressed_image_is_refused(tmp_path, source):
    write_series(tmp_path, DATA, axial(), syntax=SYNTAXES["JPEG 2000"])
    damage(list_files(tmp_path)[5], SYNTAXES["JPEG 2000"])
    with pytest.raises(VolumeError, match=r"expected"):
        read_series(source(tmp_path))


def test_scratch_folder_is_private_and_gone_afterwards(tmp_path, source):
    write_series(tmp_path, DATA, axial())
    with convert_series(source(tmp_path), None) as (path, _):
        scratch = path.parents[1]
        assert scratch.stat().st_mode & 0o077 == 0
        assert "DOE" not in " ".join(map(str, scratch.rglob("*"))).upper()
    assert not scratch.exists()


def test_conversion_that_hangs_or_fails_is_a_sentence(tmp_path, source, monkeypatch):
    write_series(tmp_path, DATA, axial())
    fake = tmp_path / "fake"
    fake.write_text("#!/bin/sh\nsleep 30\n")
    fake.chmod(0o755)
    monkeypatch.setattr("diffad.dicom.convert.find_converter", lambda: fake)
    monkeypatch.setattr("diffad.dicom.convert.TIMEOUT_SECONDS", 0.2)
    with pytest.raises(VolumeError, match="found none within"):
        read_series(source(tmp_path))
    fake.write_text("#!/bin/sh\necho Error: cannot decode DOE; exit 2\n")
    with pytest.raises(VolumeError, match=r"exit code 2 \(images that cannot be decoded\)") as caught:
        read_series(source(tmp_path))
    assert "DOE" not in str(caught.value)


def test_missing_packages_name_the_extra(monkeypatch):
    with pytest.raises(ImportError, match=r'pip install "diffad\[dicom\]"'):
        import_extra("no_such_package", "dicom")
    monkeypatch.setattr("dcm2niix.bin", "/no/such/program")
    with pytest.raises(ImportError, match=r"dcm2niix, found none"):
        packages.find_converter()


def test_tilted_images_that_cannot_be_decoded_are_refused(tmp_path, source):
    write_series(tmp_path, ramp(tilted(10)), tilted(10), modality="CT")
    damage(list_files(tmp_path)[3], SYNTAXES["JPEG 2000"])
    with pytest.raises(VolumeError, match="expected images that can be decoded"):
        read_series(source(tmp_path))
    assert "1.2.840.10008.1.2.4.90" in decode.CONVERTER_SYNTAXES


def test_info_lists_series_and_says_which_is_taken(tmp_path, capsys):
    study = Study()
    write_series(tmp_path / "a", DATA[:, :, :3], axial(), study=study, number=1, description="localizer")
    uid = write_series(tmp_path / "b", DATA, axial(), study=study, number=2, description="t1_mprage")
    assert main(["info", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "passed over: localiser" in told
    assert "predict takes series 2: T1, the first of" in told
    assert main(["info", str(tmp_path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    (visit,) = facts["visits"]
    assert (visit["takes"], visit["takes_uid"]) == (2, uid)
    assert [series["usable"] for series in visit["series"]] == [False, True]
    assert visit["series"][1]["spacing_mm"] == [3.0, 3.0, 4.0]
    assert main(["info", str(tmp_path / "a")]) == 1


def test_prepare_takes_a_series_and_skips_it_the_second_time(tmp_path, capsys):
    uid = write_series(tmp_path / "case", DATA, axial(), number=4)
    words = ["prepare", str(tmp_path / "case"), "--out", str(tmp_path / "out"), "--brain", "none"]
    words += ["--register", "none", "--no-bias", "--spacing", "4"]
    assert main(words) == 0
    record = json.loads((tmp_path / "out" / "case_prepare.json").read_text())
    assert record["dicom"]["series_uid"] == uid
    capsys.readouterr()
    assert main(words) == 0
    assert "1 done before" in capsys.readouterr().out
    assert main([*words, "--series", "7"]) == 1
    assert "expected a series 7" in capsys.readouterr().err
