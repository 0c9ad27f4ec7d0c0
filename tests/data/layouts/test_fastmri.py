import pytest

from diffad.data.items import DataError
from diffad.data.layouts.find import list_entries
from tests.helpers.trees import FASTMRI, fastmri_plus, nifti, table

SCAN = "file_brain_AXT1_202_0000001"


def test_lists_slices_with_their_boxes_once_for_each_label(tmp_path):
    entries = list_entries(fastmri_plus(tmp_path)).entries
    assert [(e.subject, e.index, e.group, e.label, e.boxes) for e in entries] == [
        (SCAN, 3, "Edema", 1, ((10, 20, 5, 6), (30, 40, 7, 8))),
        (SCAN, 3, "Mass", 1, ((1, 2, 3, 4),)),
        ("file_brain_AXT1_202_0000002", 0, "Global label: Normal for age", 0, ()),
    ]


def test_picture_of_the_slice_goes_before_the_scan(tmp_path):
    path = fastmri_plus(tmp_path) / "png" / f"{SCAN}_3.png"
    path.parent.mkdir()
    path.write_bytes(b"not read")
    assert list_entries(tmp_path).entries[0].images == {"image": path}


def test_scan_that_is_not_there_is_told(tmp_path):
    (fastmri_plus(tmp_path) / "scans" / f"{SCAN}.nii.gz").unlink()
    listing = list_entries(tmp_path)
    assert len(listing.entries) == 1
    assert listing.problems == [f"{tmp_path}: found annotations of missing scans (1): {SCAN}"]


@pytest.mark.parametrize(
    "bad", [("three", 1, 1, 2, 2), (3, "nan", 1, 2, 2), (3, 1, 1, 0, 2), (3, 1, 1, "", 2)]
)
def test_row_that_is_no_box_is_told_with_its_line(tmp_path, bad):
    number, *box = bad
    rows = [(SCAN, 3, "No", 10, 20, 5, 6, "Edema"), (SCAN, number, "No", *box, "Mass")]
    path = table(tmp_path / "Annotations" / "brain.csv", FASTMRI, rows)
    nifti(tmp_path / f"{SCAN}.nii.gz")
    listing = list_entries(tmp_path)
    assert [e.group for e in listing.entries] == ["Edema"]
    (line,) = listing.problems
    assert line.startswith(f"{path}:3: expected file, slice, label and a box")


def test_table_alone_is_an_error_that_says_so(tmp_path):
    fastmri_plus(tmp_path)
    for path in (tmp_path / "scans").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="found none of 3 annotations"):
        list_entries(tmp_path)


def test_table_of_other_columns_is_an_error(tmp_path):
    table(tmp_path / "Annotations" / "brain.csv", ("a", "b"), [(1, 2)])
    with pytest.raises(DataError, match="expected file, slice, label and a box"):
        list_entries(tmp_path)
