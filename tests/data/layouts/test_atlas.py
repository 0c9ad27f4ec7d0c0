from diffad.data.layouts.find import list_entries
from tests.helpers.trees import atlas2, nifti


def test_subject_cohort_and_split_follow_from_the_names(tmp_path):
    entries = list_entries(atlas2(tmp_path)).entries
    assert [(e.name, e.subject, e.group, e.split, e.lesion is not None) for e in entries] == [
        ("sub-r001s001_ses-1", "r001s001", "R001", "train", True),
        ("sub-r042s002_ses-1", "r042s002", "R042", "train", True),
        ("sub-r050s001_ses-1", "r050s001", "R050", "test", False),
    ]
    assert all(set(e.images) == {"t1"} for e in entries)


def test_training_folder_alone_keeps_its_split(tmp_path):
    listing = list_entries(atlas2(tmp_path) / "ATLAS_2" / "Training")
    assert listing.problems == []
    assert [e.split for e in listing.entries] == ["train", "train"]


def test_missing_mask_is_told_in_training_only(tmp_path):
    next(atlas2(tmp_path).rglob("*r042s002*mask.nii.gz")).unlink()
    (line,) = list_entries(tmp_path).problems
    assert line.endswith("expected a lesion mask of sub-r042s002_ses-1, found none")


def test_subject_in_training_and_testing_is_told(tmp_path):
    folder = atlas2(tmp_path) / "ATLAS_2" / "Testing" / "R042" / "sub-r042s002" / "ses-2" / "anat"
    nifti(folder / "sub-r042s002_ses-2_space-MNI152NLin2009aSym_T1w.nii.gz")
    (line,) = list_entries(tmp_path).problems
    assert line.endswith("expected each subject in one split, found r042s002 in test, train")
