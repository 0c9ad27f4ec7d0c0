"""Objects hold what the standard asks of their kind, by the tables that highdicom brings."""

import json
from pathlib import Path

import highdicom
import pydicom
import pytest

from diffad.dicom.writer import write_dicom
from tests.helpers.dicom_results import grey_head, write_result
from tests.helpers.dicom_series import write_series
from tests.helpers.heads import affine_of

FOLDER = Path(highdicom.__file__).parent / "_standard"
GROUPS = {"SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"}
SHAPE = (24, 20, 9)
MACROS = {
    "detections": (
        "FrameContent PlanePosition PlaneOrientation PixelMeasures DerivationImage SegmentIdentification"
    ),
    "anomaly": (
        "FrameContent PlanePosition PlaneOrientation PixelMeasures PixelValueTransformation DerivationImage"
        " ParametricMapFrameType RealWorldValueMapping FrameVOILUT"
    ),
}
"""Functional groups of each kind, which are shared or by frame."""


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    folder, affine = tmp_path_factory.mktemp("standard"), affine_of((8, 9, 15), shape=SHAPE)
    files = write_result(folder / "maps", SHAPE, affine)
    write_series(folder / "study", grey_head(SHAPE, affine), affine)
    return write_dicom(files, sorted((folder / "study").iterdir()), folder / "out", "scan").files


def read_table(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def list_items(item, path):
    """The items at the end of a path of sequences."""
    items = [item]
    for keyword in path:
        items = [part for whole in items for part in whole.get(keyword) or ()]
    return items


def is_absent(item, keyword, kind):
    return keyword not in item or (kind == "1" and item[keyword].is_empty)


def list_demands(item):
    """Attributes of types 1 and 2 of the modules that the kind must have, but for the groups themselves."""
    modules = read_table("iod_module_map")[read_table("sop_class_iod_map")[item.SOPClassUID]]
    attributes = read_table("module_attribute_map")
    for module in modules:
        for entry in attributes[module["key"]] if module["usage"] == "M" else ():
            if entry["type"] in ("1", "2") and not (len(entry["path"]) == 1 and entry["path"][0] in GROUPS):
                yield entry


@pytest.mark.parametrize("kind", ["detections", "anomaly", "report"])
def test_object_has_every_attribute_that_its_kind_must_have(objects, kind):
    item = pydicom.dcmread(objects[kind])
    demands = list(list_demands(item))
    absent = {
        (*entry["path"], entry["keyword"])
        for entry in demands
        for part in list_items(item, entry["path"])
        if is_absent(part, entry["keyword"], entry["type"])
    }
    assert len(demands) > 40
    assert absent == set()


@pytest.mark.parametrize("kind", ["detections", "anomaly"])
def test_every_functional_group_is_shared_or_of_each_frame(objects, kind):
    item = pydicom.dcmread(objects[kind])
    shared = item.SharedFunctionalGroupsSequence[0]
    for macro in MACROS[kind].split():
        keyword = f"{macro}Sequence"
        by_frame = [keyword in group for group in item.PerFrameFunctionalGroupsSequence]
        assert (keyword in shared) + all(by_frame) == 1, macro


def test_highdicom_reads_what_was_written(objects):
    segments = highdicom.seg.segread(objects["detections"])
    assert segments.number_of_segments == 2
    assert segments.segmentation_type.value == "BINARY"
    volume = highdicom.imread(objects["anomaly"]).get_volume()
    assert volume.spatial_shape == (SHAPE[2], SHAPE[1], SHAPE[0])
