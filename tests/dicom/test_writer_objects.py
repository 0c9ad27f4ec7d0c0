"""Objects of results: each voxel where it was, in the patient and study of the series, alike every time."""

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from diffad.dicom.references import read_source_series
from diffad.dicom.segmentation import LABEL, name_segment
from diffad.dicom.writer import write_dicom
from diffad.dicom.writer_result import read_stored_result
from diffad.inference.lesions import Lesion
from tests.helpers.dicom_results import (
    SPOTS,
    grey_head,
    map_at,
    pixels_at,
    read_frames,
    write_result,
)
from tests.helpers.dicom_series import Study, write_series
from tests.helpers.heads import GRIDS, affine_of

ALL = {**GRIDS, "reversed": {"spacing": (3, 3, 4), "flip": (1, 1, -1)}}


def grid(name="plain"):
    """Shape and affine of a named grid with voxels of twice the size, which are quicker."""
    options = {"shape": (64, 72, 56), **ALL[name]}
    options["shape"] = tuple(n // 2 for n in options["shape"])
    options["spacing"] = tuple(2 * step for step in options["spacing"])
    return options["shape"], affine_of(**options)


def list_files(folder):
    return sorted(folder.iterdir(), reverse=True)


@pytest.fixture(scope="module", params=ALL)
def written(request, tmp_path_factory):
    """A series of a head on a grid, a result on the same grid, and its objects."""
    folder, (shape, affine) = tmp_path_factory.mktemp("objects"), grid(request.param)
    files = write_result(folder / "maps", shape, affine)
    write_series(folder / "study", grey_head(shape, affine), affine, shuffle=True)
    objects = write_dicom(files, list_files(folder / "study"), folder / "out", "scan")
    return files, objects, folder / "study"


def find_voxels(path, points):
    """Values of a NIfTI file at RAS places, which are voxels of it."""
    image = nib.load(path)
    index = (points - image.affine[:3, 3]) @ np.linalg.inv(image.affine[:3, :3]).T
    assert np.abs(index - np.rint(index)).max() < 1e-3
    return np.asarray(image.dataobj)[tuple(np.moveaxis(np.rint(index).astype(int), -1, 0))]


def test_segments_hold_the_voxels_of_their_detections_and_no_others(written):
    files, objects, _ = written
    result = read_stored_result(files)
    assert objects.is_copied
    assert objects.warnings == ()
    counts = dict.fromkeys([d.number for d in result.detections], 0)
    for number, affine, frame in read_frames(objects.files["detections"]):
        points = pixels_at((number, affine, frame))[frame > 0]
        index = (points - result.anomaly.affine[:3, 3]) @ np.linalg.inv(result.anomaly.affine[:3, :3]).T
        assert (result.labels[tuple(np.rint(index).astype(int).T)] == number).all()
        assert (find_voxels(files["mask"], points) == 1).all()
        counts[number] += len(points)
    assert len(counts) == len(SPOTS)
    assert counts == {d.number: d.voxels for d in result.detections}


def test_map_has_the_values_of_the_voxels_bit_for_bit(written):
    files, objects, _ = written
    frames = read_frames(objects.files["anomaly"])
    assert len(frames) == nib.load(files["anomaly"]).shape[2]
    for frame in frames:
        assert frame[2].dtype == np.float32
        assert np.array_equal(frame[2], find_voxels(files["anomaly"], pixels_at(frame)))


@pytest.mark.parametrize("name", [name for name in ALL if name != "sheared"])
def test_segmentation_lies_there_for_another_library_too(tmp_path, name):
    """SimpleITK, which knows neither several segments nor images that are stacked askew."""
    shape, affine = grid(name)
    files = write_result(tmp_path / "maps", shape, affine, spots=SPOTS[:1])
    write_series(tmp_path / "study", grey_head(shape, affine), affine)
    objects = write_dicom(files, list_files(tmp_path / "study"), tmp_path / "out", "scan")
    image = sitk.ReadImage(str(objects.files["detections"]))
    turn = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    places = np.argwhere(sitk.GetArrayFromImage(image) > 0)[:, ::-1] @ turn.T + image.GetOrigin()
    assert len(places) == np.asarray(nib.load(files["mask"]).dataobj).sum()
    assert (find_voxels(files["mask"], places * [-1, -1, 1]) == 1).all()


def test_every_frame_names_the_image_below_it(written):
    _, objects, study = written
    sources = {item.SOPInstanceUID: item for item in map(pydicom.dcmread, study.iterdir())}
    for kind in ("detections", "anomaly"):
        item = pydicom.dcmread(objects.files[kind])
        for group in item.PerFrameFunctionalGroupsSequence:
            uid = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
            position = group.PlanePositionSequence[0].ImagePositionPatient
            assert np.allclose(position, sources[uid].ImagePositionPatient, atol=1e-6)
        named = item.ReferencedSeriesSequence[0]
        assert {i.ReferencedSOPInstanceUID for i in named.ReferencedInstanceSequence} == {*sources}
        assert named.SeriesInstanceUID == next(iter(sources.values())).SeriesInstanceUID


def test_objects_are_of_the_patient_and_study_and_say_what_they_are(written):
    _, objects, study = written
    source = pydicom.dcmread(next(study.iterdir()))
    shared = "PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID StudyDate AccessionNumber"
    items = {kind: pydicom.dcmread(path) for kind, path in objects.files.items()}
    assert {*items} == {"detections", "anomaly", "report"}
    for kind, item in items.items():
        assert all(item[key].value == source[key].value for key in shared.split())
        assert item.SeriesInstanceUID != source.SeriesInstanceUID
        assert item.ImageType[0] == "DERIVED"
        assert item.SeriesDescription == f"diffad {kind}: not for diagnosis"
    assert len({item.SeriesInstanceUID for item in items.values()}) == 3
    assert items["detections"].FrameOfReferenceUID == source.FrameOfReferenceUID
    assert items["anomaly"].FrameOfReferenceUID == source.FrameOfReferenceUID
    assert items["detections"].ContentLabel == "DETECTIONS"
    assert items["anomaly"].ContentQualification == "RESEARCH"
    assert items["report"].BurnedInAnnotation == "NO"


@pytest.fixture
def plain(tmp_path):
    shape, affine = grid()
    files = write_result(tmp_path / "maps", shape, affine)
    write_series(tmp_path / "study", grey_head(shape, affine), affine)
    return tmp_path, files


def test_segments_say_number_place_volume_algorithm_and_codes(plain):
    from highdicom.seg import segread

    folder, files = plain
    item = segread(
        write_dicom(files, list_files(folder / "study"), folder / "out", "scan").files["detections"]
    )
    detections = read_stored_result(files).detections
    assert item.number_of_segments == 3
    for number, detection in enumerate(detections, 1):
        segment = item.get_segment_description(number)
        assert segment.segment_label == f"{number}: not known, {detection.volume_ml:.2f} ml"
        assert segment.segmented_property_type.meaning == "Lesion"
        assert segment.segmented_property_category.value == "49755003"
        algorithm = segment.algorithm_identification
        assert (algorithm.name, algorithm.version) == ("diffad tiny", "0.1.0")


def test_secondary_capture_shows_the_picture(plain):
    from PIL import Image

    folder, files = plain
    item = pydicom.dcmread(
        write_dicom(files, list_files(folder / "study"), folder / "out", "scan").files["report"]
    )
    assert np.array_equal(item.pixel_array, np.asarray(Image.open(files["report"])))


def test_map_names_its_unit_and_maps_values_to_themselves(plain):
    folder, files = plain
    item = pydicom.dcmread(
        write_dicom(files, list_files(folder / "study"), folder / "out", "scan").files["anomaly"]
    )
    mapping = item.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"


def test_same_files_give_the_same_bytes_in_whatever_order(plain, monkeypatch):
    folder, files = plain
    paths = list_files(folder / "study")
    first = write_dicom(files, paths, folder / "a", "scan").files
    second = write_dicom(files, paths[::-1], folder / "b", "scan").files
    assert {k: p.read_bytes() for k, p in first.items()} == {k: p.read_bytes() for k, p in second.items()}


def test_objects_that_are_there_stay_until_they_are_asked_for(plain):
    folder, files = plain
    paths, out = list_files(folder / "study"), folder / "out"
    first = write_dicom(files, paths, out, "scan")
    before = {p: p.read_bytes() for p in out.iterdir()}
    assert write_dicom(files, paths, out, "scan").status == "skipped"
    shape, affine = grid()
    empty = write_result(folder / "other", shape, affine, spots=())
    assert write_dicom(empty, paths, out, "scan").status == "other"
    assert {p: p.read_bytes() for p in out.iterdir()} == before
    written = write_dicom(empty, paths, out, "scan", overwrite=True)
    assert written.status == "done"
    assert {*written.files} == {"anomaly", "report"}
    assert not first.files["detections"].exists()
    assert written.files["anomaly"].read_bytes() != before[written.files["anomaly"]]


def fail_to_save(*_, **__):
    raise OSError(28, "full")


def test_failed_write_leaves_what_was_there(plain, monkeypatch):
    folder, files = plain
    paths, out = list_files(folder / "study"), folder / "out"
    write_dicom(files, paths, out, "scan")
    before = {p: p.read_bytes() for p in out.iterdir()}
    monkeypatch.setattr(
        "highdicom.sc.SCImage.save_as", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "full"))
    )
    with pytest.raises(OSError, match="full"):
        write_dicom(files, paths, out, "scan", overwrite=True)
    assert {p: p.read_bytes() for p in out.iterdir()} == before


def test_result_on_another_grid_is_sampled_at_the_place_of_each_pixel(tmp_path):
    """A tilted series, and a scan that was resampled to a right grid."""
    (shape, tilted), right = grid("sheared"), affine_of((2.5, 2.5, 3), shape=(80, 96, 70))
    files = write_result(tmp_path / "maps", (80, 96, 70), right)
    write_series(tmp_path / "study", grey_head(shape, tilted), tilted)
    written = write_dicom(files, list_files(tmp_path / "study"), tmp_path / "out", "scan")
    assert not written.is_copied
    for frame in read_frames(written.files["anomaly"]):
        assert np.abs(frame[2] - map_at(pixels_at(frame))).max() < 0.12
    image = nib.load(files["mask"])
    for number, affine, frame in read_frames(written.files["detections"]):
        points = pixels_at((number, affine, frame))[frame > 0]
        index = np.rint((points - image.affine[:3, 3]) @ np.linalg.inv(image.affine[:3, :3]).T).astype(int)
        assert (np.asarray(image.dataobj)[tuple(index.T)] == 1).all()


def test_detection_that_no_image_shows_is_said(tmp_path):
    """Images 24 mm apart pass beside the third; the numbers of the others stay in their labels."""
    shape, affine = (64, 72, 56), affine_of((3, 3, 3))
    files = write_result(tmp_path / "maps", shape, affine)
    thin = affine.copy()
    thin[:, 2] *= 8
    write_series(tmp_path / "study", grey_head((64, 72, 7), thin), thin)
    written = write_dicom(files, list_files(tmp_path / "study"), tmp_path / "out", "scan")
    segments = pydicom.dcmread(written.files["detections"]).SegmentSequence
    assert [(s.SegmentNumber, s.SegmentLabel[:2]) for s in segments] == [(1, "1:"), (2, "2:")]
    assert written.detections == 3
    assert "1 of its detections in no segment" in written.warnings[-1]


@pytest.mark.parametrize(("name", "burned"), [("scan", "NO"), ("doe_jane_t1", "YES"), ("x-PID007", "YES")])
def test_name_of_a_patient_in_the_title_of_the_picture_is_owned_up_to(tmp_path, name, burned):
    shape, affine = grid()
    files = write_result(tmp_path / "maps", shape, affine, name=name)
    write_series(tmp_path / "study", grey_head(shape, affine), affine)
    written = write_dicom(files, list_files(tmp_path / "study"), tmp_path / "out", name)
    assert pydicom.dcmread(written.files["report"]).BurnedInAnnotation == burned
    assert any("names the patient" in warning for warning in written.warnings) == (burned == "YES")


@pytest.mark.parametrize("patient", ["Yamada^Tarou=山田^太郎=やまだ^たろう", "Müller^Jürgen"])
def test_names_in_any_script_stay_themselves(tmp_path, patient):
    shape, affine = grid()
    files = write_result(tmp_path / "maps", shape, affine)
    study, utf = Study(patient=patient), {"SpecificCharacterSet": "ISO_IR 192"}
    write_series(tmp_path / "study", grey_head(shape, affine), affine, study=study, tags=utf)
    written = write_dicom(files, list_files(tmp_path / "study"), tmp_path / "out", "scan")
    assert {str(pydicom.dcmread(path).PatientName) for path in written.files.values()} == {patient}


def test_series_without_facts_of_the_patient_gets_objects_without_them(tmp_path):
    shape, affine = grid()
    files = write_result(tmp_path / "maps", shape, affine)
    write_series(tmp_path / "study", grey_head(shape, affine), affine)
    for path in (tmp_path / "study").iterdir():
        item = pydicom.dcmread(path)
        for key in [
            "PatientName",
            "PatientID",
            "PatientBirthDate",
            "PatientSex",
            "StudyDate",
            "StudyTime",
            "StudyID",
        ]:
            delattr(item, key)
        del item.AccessionNumber, item.SeriesNumber, item.SliceThickness
        item.save_as(path)
    written = write_dicom(files, list_files(tmp_path / "study"), tmp_path / "out", "scan")
    assert pydicom.dcmread(written.files["detections"]).PatientID in (None, "")
    assert len(read_frames(written.files["anomaly"])) == shape[2]


def test_sex_that_is_no_code_is_left_out(plain):
    folder, files = plain
    for path in (folder / "study").iterdir():
        item = pydicom.dcmread(path)
        item.PatientSex = "UNKNOWN"
        item.save_as(path)
    written = write_dicom(files, list_files(folder / "study"), folder / "out", "scan").files
    assert {pydicom.dcmread(path).PatientSex for path in written.values()} <= {None, ""}


@pytest.mark.parametrize("place", ["", "left frontal lobe, " * 9, "a\\b"])
def test_labels_fit_their_field(place):
    lesion = Lesion(65_535, 1234.567, 9, (0, 0, 0), (0, 0, 0), (0, 0, 0), 1.0, 1.0, (0, 0, 0), None, place)
    label = name_segment(lesion)
    assert len(label) <= LABEL
    assert "\\" not in label
    assert label.startswith("65535: ")
    assert label.endswith("1234.57 ml")


def test_affine_of_the_stack_is_that_of_the_array(tmp_path):
    shape, affine = grid("oblique las")
    write_series(tmp_path, grey_head(shape, affine), affine, shuffle=True)
    series = read_source_series(list_files(tmp_path))
    assert series.shape == (shape[2], shape[1], shape[0])
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    first, step = (0, 1) if normal @ affine[:3, 2] > 0 else (shape[2] - 1, -1)
    assert np.allclose(series.stack[:3, 2], step * affine[:3, 2], atol=1e-4)
    assert np.allclose(series.stack[:3, 3], (affine @ [0, 0, first, 1])[:3], atol=1e-4)
