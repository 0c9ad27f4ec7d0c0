import pytest

from diffad.data.items import DataError
from diffad.data.layouts.find import list_entries, recognise
from tests.helpers.trees import nifti, table, uadimag


def test_lists_scans_of_all_studies_with_their_masks(tmp_path):
    listing = list_entries(uadimag(tmp_path))
    assert listing.layout == "uadimag"
    assert [
        (e.name, e.subject, e.group, sorted(e.images), e.lesion is not None) for e in listing.entries
    ] == [
        ("ATLAS-sub-01", "ATLAS-01", "ATLAS", ["t1"], True),
        ("ATLAS-sub-02", "ATLAS-02", "ATLAS", ["t1", "t2"], True),
        ("CAMCAN-sub-03", "CAMCAN-03", "CAMCAN", ["t1"], True),
    ]
    assert listing.problems == []
    assert {e.split for e in listing.entries} == {"test"}


def test_scan_without_a_mask_is_named(tmp_path):
    path = nifti(uadimag(tmp_path) / "CAMCAN" / "sub-04" / "anat" / "sub-04_T1w.nii.gz")
    assert list_entries(tmp_path).problems == [f"{path}: expected a lesion mask of CAMCAN-sub-04, found none"]


def test_mask_before_processing_serves_only_without_the_other(tmp_path):
    folder = uadimag(tmp_path) / "ATLAS" / "sub-01" / "anat"
    before = nifti(folder / "sub-01_seg-lesion_mask.nii.gz", labels=(0, 1))
    after = folder / "sub-01_seg-anomaly_mask.nii.gz"
    assert list_entries(tmp_path).entries[0].lesion == after
    after.unlink()
    listing = list_entries(tmp_path)
    assert listing.entries[0].lesion == before
    assert listing.problems == []


def test_split_table_chooses(tmp_path):
    folder = uadimag(tmp_path)
    table(
        folder / "split.csv",
        ["Path"],
        [["/data/ATLAS/sub-02/anat/sub-02_T1w.nii.gz"], ["x/sub-09_T1w.nii.gz"]],
    )
    listing = list_entries(tmp_path)
    assert [e.name for e in listing.entries] == ["ATLAS-sub-02"]
    assert listing.problems == [
        f"{tmp_path}: found scans of split.csv that are not there (1): sub-09_T1w.nii.gz"
    ]


def test_split_table_that_names_none_of_the_scans_is_refused(tmp_path):
    table(uadimag(tmp_path) / "split.csv", ["Path"], [["elsewhere/sub-99_T1w.nii.gz"]])
    with pytest.raises(DataError, match=r"split\.csv: expected scans that are there, found none of 1"):
        list_entries(tmp_path, "uadimag")


def test_another_table_is_passed_over_aloud(tmp_path):
    path = table(uadimag(tmp_path) / "split.csv", ["id"], [["3"]])
    listing = list_entries(tmp_path)
    assert len(listing.entries) == 3
    assert listing.problems == [
        f"{path}: expected a table of one column, Path; it is passed over, and all scans are taken"
    ]


def test_scans_of_bids_without_such_masks_are_none_of_it(tmp_path):
    nifti(tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    assert "uadimag" not in dict(recognise(tmp_path))


def test_people_of_two_studies_with_one_number_are_two(tmp_path):
    nifti(uadimag(tmp_path) / "CAMCAN" / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    nifti(tmp_path / "CAMCAN" / "sub-01" / "anat" / "sub-01_seg-anomaly_mask.nii.gz", labels=(0,))
    listing = list_entries(tmp_path)
    assert [e.subject for e in listing.entries] == ["ATLAS-01", "ATLAS-02", "CAMCAN-01", "CAMCAN-03"]
    assert listing.problems == []


def test_split_table_means_the_person_of_its_study(tmp_path):
    folder = uadimag(tmp_path)
    nifti(folder / "CAMCAN" / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    table(folder / "split.csv", ["Path"], [["/data/CAMCAN/sub-01/anat/sub-01_T1w.nii.gz"]])
    assert [e.name for e in list_entries(tmp_path).entries] == ["CAMCAN-sub-01"]
