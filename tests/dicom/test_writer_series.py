"""Series that objects cannot be of, and results that are not of the series, are refused in one sentence."""

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.dicom.references import find_series, read_source_series
from diffad.dicom.writer import write_dicom
from diffad.dicom.writer_packages import DicomError
from diffad.dicom.writer_places import SeriesPlacement
from diffad.io.extras import import_extra
from tests.helpers.dicom_results import grey_head, write_result
from tests.helpers.dicom_series import Study, write_series
from tests.helpers.heads import affine_of

SHAPE = (24, 20, 9)
AFFINE = affine_of((8, 9, 15), shape=SHAPE)
SECRETS = ("DOE", "JANE", "PID-007", "19700101")


@pytest.fixture
def study(tmp_path):
    write_series(tmp_path / "study", grey_head(SHAPE, AFFINE), AFFINE)
    return tmp_path / "study"


@pytest.fixture
def files(tmp_path):
    return write_result(tmp_path / "maps", SHAPE, AFFINE)


def change(path, **tags):
    """Set attributes of a file; None deletes one."""
    item = pydicom.dcmread(path)
    for key, value in tags.items():
        if value is None:
            delattr(item, key)
        else:
            setattr(item, key, value)
    item.save_as(path)


def refuse(paths):
    with pytest.raises(DicomError) as caught:
        read_source_series(paths)
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return str(caught.value)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"FrameOfReferenceUID": "1.2.3"}, "found 2 frames of reference"),
        ({"StudyInstanceUID": "1.2.3"}, "found 2 studies"),
        ({"SeriesInstanceUID": "1.2.3"}, "found 2 series"),
        ({"PatientID": "PID-008"}, "found 2 patients"),
        ({"PatientName": "DOE^JOHN"}, "found 2 patients"),
        ({"Rows": 10}, "found 2 numbers of rows"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "several directions, as of a scout"),
        ({"PixelSpacing": [1, 2]}, "of one pixel size, found several"),
        ({"ImagePositionPatient": None}, "expected ImagePositionPatient in every image, found 1 without it"),
        ({"FrameOfReferenceUID": None}, "expected FrameOfReferenceUID in every image, found 1 without it"),
        ({"SamplesPerPixel": 3}, "found colours"),
        ({"NumberOfFrames": 4}, "found an enhanced multi-frame image"),
    ],
)
def test_images_that_are_no_single_volume_are_refused(study, tags, message):
    paths = sorted(study.iterdir())
    change(paths[4], **tags)
    assert message in refuse(paths)
    assert str(study) in refuse(paths)


def test_several_images_at_one_place_are_refused(study):
    paths = sorted(study.iterdir())
    place = pydicom.dcmread(paths[0]).ImagePositionPatient
    change(paths[1], ImagePositionPatient=list(place))
    assert "found 9 at 8 places, as of several echoes, times or copies" in refuse(paths)


def test_folder_without_images_is_refused(tmp_path):
    (tmp_path / "note.txt").write_text("no image")
    with pytest.raises(DicomError, match="expected a DICOM series of images, found none in 1 files"):
        find_series(tmp_path)
    assert "found none in 1 files" in refuse([tmp_path / "note.txt"])


def test_objects_beside_the_series_are_no_part_of_it(study, files):
    """Reports, and what was written before, may lie in the same folder."""
    images = sorted(study.iterdir())
    written = write_dicom(files, images, study, "scan")
    (paths,) = find_series(study.parent).values()
    assert sorted(paths) == images
    assert write_dicom(files, paths, study, "scan").status == "skipped"
    for path in images:
        path.unlink()
    assert len(find_series(study)) == 3
    message = refuse([written.files["anomaly"]])
    assert "found an enhanced multi-frame image" in message


@pytest.mark.parametrize(("skip", "gaps"), [((4,), 1), ((2, 6), 2), ((), 0)])
def test_missing_images_are_said(tmp_path, files, skip, gaps):
    write_series(tmp_path / "study", grey_head(SHAPE, AFFINE), AFFINE, skip=skip)
    written = write_dicom(files, sorted((tmp_path / "study").iterdir()), tmp_path / "out", "scan")
    said = [text for text in written.warnings if "as if some were missing" in text]
    assert len(said) == (gaps > 0)
    assert all(f"have {gaps} gaps of up to 30.0 mm" in text for text in said)
    assert written.is_copied
    assert pydicom.dcmread(written.files["anomaly"]).NumberOfFrames == SHAPE[2] - len(skip)


@pytest.mark.parametrize(("shift", "said"), [(0.6, "0.6"), (7.0, "7.0"), (40.0, "40.0")])
def test_result_beside_the_series_is_refused_with_its_distance(tmp_path, study, shift, said):
    moved = AFFINE.copy()
    moved[1, 3] += shift
    files = write_result(tmp_path / "moved", SHAPE, moved)
    with pytest.raises(DicomError, match=f"found it {said} mm off") as caught:
        write_dicom(files, sorted(study.iterdir()), tmp_path / "out", "scan")
    assert str(files["anomaly"]) in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_brain_that_reaches_beyond_the_series_is_refused(tmp_path, files):
    low = SHAPE[2] // 2
    write_series(tmp_path / "half", grey_head(SHAPE, AFFINE)[:, :, :low], AFFINE)
    with pytest.raises(DicomError, match=r"reaches \d+\.\d mm beyond them"):
        write_dicom(files, sorted((tmp_path / "half").iterdir()), tmp_path / "out", "scan")


def test_another_scan_on_the_same_grid_is_refused(tmp_path, files):
    noise = np.random.default_rng(0).integers(0, 900, SHAPE)
    write_series(tmp_path / "study", noise, AFFINE)
    with pytest.raises(DicomError, match=r"found others \(correlation in the brain -?0\.\d\d\)"):
        write_dicom(files, sorted((tmp_path / "study").iterdir()), tmp_path / "out", "scan")


def test_scan_that_is_unlike_is_said_and_one_that_is_gone_too(tmp_path, study):
    paths = sorted(study.iterdir())
    grey = grey_head(SHAPE, AFFINE)
    noisy = grey + np.random.default_rng(0).integers(0, 120, SHAPE).astype(np.uint16)
    files = write_result(tmp_path / "maps", SHAPE, AFFINE)
    write_series(tmp_path / "noisy", noisy, AFFINE)
    doubts = write_dicom(files, sorted((tmp_path / "noisy").iterdir()), tmp_path / "a", "scan").warnings
    assert "check that they are of one person and sequence" in doubts[0]
    lost = write_result(tmp_path / "lost", SHAPE, AFFINE, scan=False)
    (doubt,) = write_dicom(lost, paths, tmp_path / "b", "scan").warnings
    assert "could not be compared" in doubt
    uid = pydicom.dcmread(paths[0]).SeriesInstanceUID
    known = write_result(tmp_path / "known", SHAPE, AFFINE, scan=False, dicom={"series_uid": uid})
    assert write_dicom(known, paths, tmp_path / "c", "scan").warnings == ()


def test_table_and_mask_of_different_results_are_refused(tmp_path, study, files):
    other = write_result(tmp_path / "other", SHAPE, AFFINE, spots=((0.0, 0.0, 0.0),))
    for kind, message in (
        ("lesions_json", "expected detection 1 of the table"),
        ("mask", "of the table in it"),
    ):
        mixed = {**files, kind: other[kind]}
        with pytest.raises(DicomError, match=message):
            write_dicom(mixed, sorted(study.iterdir()), tmp_path / "out", "scan")


@pytest.mark.parametrize("kind", ["info", "anomaly", "mask", "seen", "lesions_json", "report"])
def test_lost_file_of_a_result_is_named(tmp_path, study, files, kind):
    files[kind].unlink()
    with pytest.raises((OSError, ValueError), match=files[kind].name):
        write_dicom(files, sorted(study.iterdir()), tmp_path / "out", "scan")


def test_series_of_two_visits_do_not_mix(tmp_path):
    for number in (2, 3):
        write_series(tmp_path / "both", grey_head(SHAPE, AFFINE), AFFINE, study=Study(), number=number)
    paths = [path for group in find_series(tmp_path / "both").values() for path in group]
    assert "found 2 series" in refuse(paths)


def test_absent_package_is_one_sentence():
    with pytest.raises(ImportError, match=r'install it: pip install "diffad\[dicom\]"'):
        import_extra("pydicom_that_is_not_there", "dicom")


@settings(max_examples=60, deadline=None)
@given(
    axes=st.permutations(range(3)),
    flips=st.tuples(*[st.sampled_from((1, -1))] * 3),
    turn=st.tuples(*[st.floats(-40, 40, allow_subnormal=False)] * 3),
    spacing=st.tuples(*[st.floats(0.4, 9, allow_subnormal=False)] * 3),
    off=st.sampled_from((0.0, 0.01, 0.1)),
)
def test_any_turn_of_the_axes_is_copied_and_any_real_shift_is_not(axes, flips, turn, spacing, off):
    """Of a volume stored along other axes than the series, each pixel finds its voxel."""
    shape = (5, 6, 4)
    affine = affine_of(spacing, turn, shape=shape)
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    turned = data.transpose(axes)[tuple(slice(None, None, flip) for flip in flips)]
    place = np.zeros((4, 4))
    place[3, 3] = 1
    for new, (old, flip) in enumerate(zip(axes, flips, strict=True)):
        place[old, new], place[old, 3] = flip, 0 if flip > 0 else shape[old] - 1
    series = FakeSeries(affine, shape)
    placed = SeriesPlacement.of(series, affine @ place)
    assert placed.is_exact
    assert np.array_equal(placed.take_values(turned), data.transpose(2, 1, 0))
    shifted = affine @ place
    shifted[:3, 3] += off * np.linalg.norm(affine[:3, 0])
    assert SeriesPlacement.of(series, shifted).is_exact == (off == 0)


class FakeSeries:
    """Places of the images of a volume, in the axes of its array."""

    def __init__(self, affine, shape):
        steps = [
            affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, k], [0, 0, 0, 1]])
            for k in range(shape[2])
        ]
        for step in steps:
            step[:3, 2] = affine[:3, 2]
        self.affines, self.shape = np.stack(steps), shape[::-1]
