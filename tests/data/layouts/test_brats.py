from diffad.data.layouts.find import list_entries, recognise
from tests.helpers.trees import brats2020, brats2021, brats2023, nifti


def test_2020_lists_cases_with_split_and_four_sequences(tmp_path):
    entries = list_entries(brats2020(tmp_path)).entries
    assert [(e.name, e.split, e.lesion is None) for e in entries] == [
        ("BraTS20_Training_001", "train", False),
        ("BraTS20_Training_002", "train", False),
        ("BraTS20_Validation_001", "val", True),
    ]
    assert all(set(e.images) == {"t1", "t1ce", "t2", "flair"} for e in entries)


def test_2020_takes_the_mask_that_was_given_out_under_another_name(tmp_path):
    brats2020(tmp_path)
    folder = tmp_path / "MICCAI_BraTS2020_TrainingData" / "BraTS20_Training_001"
    (folder / "BraTS20_Training_001_seg.nii").rename(folder / "W39_1998.09.19_Segm.nii")
    listing = list_entries(tmp_path)
    assert listing.problems == []
    assert listing.entries[0].lesion == folder / "W39_1998.09.19_Segm.nii"


def test_2021_counts_every_label_above_zero(tmp_path):
    entry = list_entries(brats2021(tmp_path)).entries[0]
    assert (entry.name, entry.subject, entry.positive, entry.ignored) == (*["BraTS2021_00000"] * 2, None, ())
    assert entry.images["t1ce"].name == "BraTS2021_00000_t1ce.nii.gz"


def test_2021_missing_sequence_and_mask_are_told_and_the_case_stays(tmp_path):
    brats2021(tmp_path)
    (tmp_path / "BraTS2021_00000" / "BraTS2021_00000_t2.nii.gz").unlink()
    (tmp_path / "BraTS2021_00002" / "BraTS2021_00002_seg.nii.gz").unlink()
    listing = list_entries(tmp_path)
    assert set(listing.entries[0].images) == {"t1", "t1ce", "flair"}
    assert listing.entries[1].lesion is None
    sequence, mask = listing.problems
    assert f"{tmp_path / 'BraTS2021_00000'}: expected t2 of BraTS2021_00000" in sequence
    assert mask.endswith("expected a lesion mask of BraTS2021_00002, found none")


def test_2021_half_its_files_names_every_case_that_lacks_some(tmp_path):
    brats2021(tmp_path, cases=4)
    files = sorted(tmp_path.rglob("*.nii.gz"))
    for path in files[len(files) // 2 :]:
        path.unlink()
    listing = list_entries(tmp_path)
    assert [e.name for e in listing.entries] == ["BraTS2021_00000", "BraTS2021_00002"]
    (line,) = listing.problems
    assert "found empty folders (2): BraTS2021_00004, BraTS2021_00006" in line


def test_2021_without_any_mask_is_told_in_one_line(tmp_path):
    for path in brats2021(tmp_path).rglob("*_seg.nii.gz"):
        path.unlink()
    assert list_entries(tmp_path).problems == [f"{tmp_path}: expected lesion masks, found none for 3 cases"]


def test_2021_mask_without_images_is_told(tmp_path):
    nifti(brats2021(tmp_path) / "BraTS2021_00009" / "BraTS2021_00009_seg.nii.gz", labels=(0, 1))
    listing = list_entries(tmp_path)
    assert len(listing.entries) == 3
    (line,) = listing.problems
    assert line.endswith("expected an image of BraTS2021_00009 for this mask, found none")


def test_2021_copy_of_a_case_is_left_out_and_told(tmp_path):
    copy = nifti(brats2021(tmp_path) / "again" / "BraTS2021_00000" / "BraTS2021_00000_t1.nii.gz")
    listing = list_entries(tmp_path)
    assert len(listing.entries) == 3
    (line,) = listing.problems
    assert "expected one t1 of BraTS2021_00000, found a second beside" in line
    assert str(copy) in line


def test_2021_folder_of_one_case_is_recognised(tmp_path):
    root = brats2021(tmp_path) / "BraTS2021_00002"
    assert recognise(root)[0] == ("brats2021", 5)
    assert [e.name for e in list_entries(root).entries] == ["BraTS2021_00002"]


def test_2023_normalises_sequences_and_tells_visits_from_subjects(tmp_path):
    entries = list_entries(brats2023(tmp_path)).entries
    assert [(e.name, e.subject, e.group) for e in entries] == [
        ("BraTS-GLI-00005-000", "BraTS-GLI-00005", "GLI"),
        ("BraTS-GLI-00005-001", "BraTS-GLI-00005", "GLI"),
        ("BraTS-MEN-00004-000", "BraTS-MEN-00004", "MEN"),
    ]
    assert {k: p.name[20:23] for k, p in entries[0].images.items()} == {
        "t1": "t1n", "t1ce": "t1c", "t2": "t2w", "flair": "t2f",
    }  # fmt: skip
