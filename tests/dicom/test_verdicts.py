"""Which series can be looked at, and by what name each other one is passed over."""

import numpy as np
import pydicom
import pytest

from diffad.data.volume_error import VolumeError
from diffad.dicom.choice import check_series_option, choose_series
from diffad.dicom.contrast import guess_contrast
from diffad.dicom.series import group_series
from diffad.io.dicom_files import is_dicom_file
from tests.dicom.conftest import list_files
from tests.helpers.dicom_heads import SHAPE, axial, ramp, sagittal
from tests.helpers.dicom_series import Study, write_series

WANTED = ("T1", "FLAIR", "T2")
DATA = ramp(axial())
STUDY = Study()
FLAIR = {"EchoTime": 120.0, "RepetitionTime": 9000.0, "InversionTime": 2500.0}


def judge(visits, folder):
    (visit,) = visits(folder)
    return [(series.contrast, series.verdict.reason) for series in visit.series]


KINDS = {
    "secondary capture": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "screen"),
    "structured report": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"}, "report"),
    "localiser": ({}, "AAHead_Scout"),
    "derived image (MPR)": ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "t1 tra"),
    "derived image": ({"ImageType": ["DERIVED", "SECONDARY", "OTHER"]}, "t1 tra"),
    "screenshot": ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "t1 tra"),
    "phase image": ({"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, "t1 tra"),
    "ADC, no anatomy": ({}, "ep2d_diff_ADC"),
    "FA, no anatomy": ({}, "dti_FA"),
    "perfusion, no anatomy": ({}, "ep2d_perf"),
    "angiography, no anatomy": ({}, "TOF_3D"),
    "body part KNEE, not the head": ({"BodyPartExamined": "KNEE"}, "t1 tra"),
    "no pixel spacing, position or orientation in 24 of 24 images": ({"PixelSpacing": None}, "t1 tra"),
}


@pytest.mark.parametrize("reason", KINDS)
def test_what_is_no_head_is_passed_over_by_name(tmp_path, visits, reason):
    tags, description = KINDS[reason]
    write_series(tmp_path, DATA, axial(), description=description, tags=tags)
    assert [why for _, why in judge(visits, tmp_path)] == [reason]
    (visit,) = visits(tmp_path)
    with pytest.raises(VolumeError, match=r"expected a whole head in T1 or FLAIR or T2, found series 2: "):
        choose_series(visit, WANTED)


def test_rows_of_slices_that_make_no_volume_are_refused(tmp_path, visits):
    uid = "1.2.3.4"
    write_series(tmp_path / "single", DATA[:, :, :1], axial())
    write_series(tmp_path / "few", DATA[:, :, :5], axial())
    write_series(tmp_path / "gap", DATA, axial(), skip=(7, 8))
    for time in range(3):
        write_series(tmp_path / "time", DATA, axial(), study=STUDY, series_uid=uid, prefix=f"T{time}")
    write_series(tmp_path / "plan", DATA, axial(), study=STUDY, series_uid=uid)
    write_series(tmp_path / "plan", DATA, sagittal(), study=STUDY, series_uid=uid, prefix="S")
    write_series(tmp_path / "sizes", DATA, axial(), study=STUDY, series_uid=uid)
    write_series(tmp_path / "sizes", DATA[:20], axial(), study=STUDY, series_uid=uid, prefix="S")
    shifted = axial()
    shifted[2, 3] += 1.5
    write_series(tmp_path / "mixed", DATA, axial(), study=STUDY, series_uid=uid)
    write_series(tmp_path / "mixed", DATA[:, :, :9], axial(), study=STUDY, series_uid=uid, prefix="S")
    write_series(tmp_path / "shifted", DATA, axial(), study=STUDY, series_uid=uid)
    write_series(tmp_path / "shifted", DATA, shifted, study=STUDY, series_uid=uid, prefix="S")
    reasons = {path.name: judge(visits, path)[0][1] for path in tmp_path.iterdir()}
    assert reasons == {
        "single": "single slice",
        "few": "covers 20 mm of the head along its slices",
        "gap": "slices lie 4 to 12 mm apart: 1 gap, so slices are missing or their distance varies",
        "time": "4-D series: 3 images at each of 24 places",
        "plan": "slices of several orientations, as a localiser has them",
        "sizes": "images of 2 sizes under one SeriesInstanceUID",
        "mixed": "several images at some places and one at others, as of two series mixed",
        "shifted": "slices lie 1.5 to 2.5 mm apart: 23 gaps, so slices are missing or their distance varies",
    }


def test_truncated_files_are_counted(tmp_path, visits):
    write_series(tmp_path, DATA, axial())
    for path in list_files(tmp_path)[:2]:
        path.write_bytes(path.read_bytes()[:-500])
    assert judge(visits, tmp_path) == [("T1", "2 of 24 files are truncated")]


def test_damaged_header_costs_no_other_file(tmp_path, visits):
    write_series(tmp_path, DATA, axial())
    (tmp_path / "broken").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 50)
    assert judge(visits, tmp_path) == [("T1", "")]


def test_each_echo_is_a_scan_of_its_own(tmp_path, visits):
    for number, time in ((1, 15.0), (2, 90.0)):
        tags = {"EchoTime": time, "EchoNumbers": number, "RepetitionTime": 3000.0, "InversionTime": None}
        options = {"study": STUDY, "series_uid": "1.2.3", "prefix": f"E{number}", "tags": tags}
        write_series(tmp_path, DATA, axial(), description="PD+T2_tse", **options)
    (visit,) = visits(tmp_path)
    assert [(s.echo, s.contrast, s.verdict.reason) for s in visit.series] == [(1, "PD", ""), (2, "T2", "")]
    assert choose_series(visit, WANTED)[0].echo == 2


TIMES = {
    "T1": {},
    "FLAIR": FLAIR,
    "T2": {"EchoTime": 95.0, "RepetitionTime": 5000.0, "InversionTime": None},
    "PD": {"EchoTime": 20.0, "RepetitionTime": 3000.0, "InversionTime": None},
    "unknown": {"EchoTime": None, "RepetitionTime": None, "InversionTime": None},
}


@pytest.mark.parametrize("contrast", TIMES)
def test_times_say_the_contrast_where_no_name_does(tmp_path, visits, contrast):
    write_series(tmp_path, DATA, axial(), description="series 1", tags=TIMES[contrast])
    assert judge(visits, tmp_path) == [(contrast, "")]


NAMES = {
    "t1_mprage_sag_p2_iso": "T1",
    "Ax T1 FLAIR": "T1",
    "t1_mprage_tra_KM": "T1 after a contrast agent",
    "T1 post contrast": "T1 after a contrast agent",
    "T1 pre contrast": "T1",
    "3D BRAVO +C": "T1 after a contrast agent",
    "t2_space_dark-fluid_sag": "FLAIR",
    "Sag CUBE T2 FLAIR": "FLAIR",
    "t2_tse_tra": "T2",
    "t2*_fl2d_hemo": "susceptibility",
    "SWI_Images": "susceptibility",
    "ep2d_diff_b1000": "diffusion",
    "resting_state_fMRI": "function",
    "localizer": "localiser",
    "gre_field_mapping": "field map",
}


@pytest.mark.parametrize("name", NAMES)
def test_descriptions_say_the_contrast(tmp_path, visits, name):
    write_series(tmp_path, DATA[:, :, :2], axial(), description=name)
    assert judge(visits, tmp_path)[0][0] == NAMES[name]


def test_best_series_is_that_of_the_models_contrast_with_the_smallest_voxels(tmp_path, visits):
    study, fine = Study(), axial(spacing=(2.0, 2.0, 4.0))
    write_series(tmp_path / "a", DATA, axial(), study=study, number=3, description="t1")
    write_series(tmp_path / "b", DATA, fine, study=study, number=4, description="t1 fine")
    write_series(tmp_path / "c", DATA, fine, study=study, number=5, description="flair", tags=FLAIR)
    write_series(tmp_path / "d", DATA, fine, study=study, number=6, description="t1 gd")
    (visit,) = visits(tmp_path)
    assert visit.name == tmp_path.name
    taken = [choose_series(visit, wanted)[0].number for wanted in (WANTED, ("FLAIR", "T1"), ("T2", "T1"))]
    assert taken == [4, 5, 4]
    assert choose_series(visit, WANTED, "6")[0].number == 6
    assert len(choose_series(visit, WANTED, "all")) == 4
    assert choose_series(visit, WANTED, visit.series[0].first.series_uid)[0].number == 3
    with pytest.raises(VolumeError, match=r"expected a series 9, found the numbers 3, 4, 5, 6"):
        choose_series(visit, WANTED, "9")
    with pytest.raises(
        ValueError, match=r"series: expected a SeriesNumber, a SeriesInstanceUID or all, got 'x'"
    ):
        check_series_option("x")


def test_files_are_known_by_content_and_without_a_suffix(tmp_path, visits):
    write_series(tmp_path / "deep" / "er", DATA, axial())
    for number, path in enumerate(list_files(tmp_path)):
        path.rename(path.with_name(f"{number}"))
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "notes.dcm").write_text("no image")
    assert not is_dicom_file(tmp_path / "DICOMDIR")
    assert not is_dicom_file(tmp_path / "notes.dcm")
    assert judge(visits, tmp_path) == [("T1", "")]


def test_frames_of_an_enhanced_image_have_places(tmp_path, visits, source):
    write_enhanced(tmp_path / "one.dcm")
    assert judge(visits, tmp_path) == [("T1", "")]
    assert visits(tmp_path)[0].series[0].spacing == pytest.approx((3, 3, 4))
    assert source(tmp_path).voxels == np.prod(SHAPE)


def write_enhanced(path):
    """Put the slices of a plain series into one image of several frames."""
    write_series(path.parent / "plain", DATA, axial())
    files = list_files(path.parent / "plain")
    items = [pydicom.dcmread(file) for file in files]
    whole = items[0]
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    whole.NumberOfFrames = len(items)
    measures, orientation = pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing, measures.SliceThickness = whole.PixelSpacing, 4.0
    orientation.ImageOrientationPatient = whole.ImageOrientationPatient
    shared = pydicom.Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    whole.SharedFunctionalGroupsSequence, frames = [shared], []
    for item in items:
        frame, position = pydicom.Dataset(), pydicom.Dataset()
        position.ImagePositionPatient = item.ImagePositionPatient
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    whole.PerFrameFunctionalGroupsSequence = frames
    whole.PixelData = b"".join(item.PixelData for item in items)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(whole, name)
    whole.save_as(path)
    for file in files:
        file.unlink()


def test_contrast_of_a_ct_needs_no_name(tmp_path, visits):
    write_series(tmp_path, DATA, axial(), modality="CT", description="Schaedel nativ")
    (visit,) = visits(tmp_path)
    assert guess_contrast(visit.series[0].first) == "CT"
    assert group_series(visit.series[0].headers)[0].verdict.is_usable
