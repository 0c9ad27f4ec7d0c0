from diffad.data.layouts.find import list_entries
from tests.helpers.trees import nifti, upd


def test_healthy_train_and_two_kinds_of_lesions_test(tmp_path):
    entries = list_entries(upd(tmp_path)).entries
    assert [(e.name, e.subject, e.split, e.label) for e in entries] == [
        ("BraTS20_Training_001", "BraTS20_Training_001", "test", None),
        ("sub-CC110033", "sub-CC110033", "train", 0),
        ("sub-r001s001_ses-1", "sub-r001s001", "test", None),
    ]
    assert [sorted(e.images) for e in entries] == [["flair", "t1", "t1ce", "t2"], ["t1"], ["t1"]]
    assert all("registered" in p.name for e in entries for p in e.images.values())


def test_every_sequence_is_its_own_file(tmp_path):
    images = list_entries(upd(tmp_path)).entries[0].images
    assert {k: f"BraTS20_Training_001_{k}_registered.nii" for k in images} == {
        k: p.name for k, p in images.items()
    }


def test_missing_segmentation_is_told(tmp_path):
    next(upd(tmp_path).rglob("anomaly_segmentation.nii")).unlink()
    (line,) = list_entries(tmp_path).problems
    assert line.endswith("expected a lesion mask of BraTS20_Training_001, found none")


def test_sessions_of_a_stroke_are_entries_of_one_subject(tmp_path):
    cohort = upd(tmp_path) / "MRI" / "ATLAS" / "ATLAS_2" / "Training" / "R001"
    folder = cohort / "sub-r001s001" / "ses-2" / "anat"
    nifti(folder / "sub-r001s001_ses-2_T1w_stripped_registered.nii.gz")
    nifti(folder / "anomaly_segmentation.nii.gz", labels=(0, 1))
    listing = list_entries(tmp_path)
    assert listing.problems == []
    assert [e.name for e in listing.entries if e.subject == "sub-r001s001"] == [
        "sub-r001s001_ses-1",
        "sub-r001s001_ses-2",
    ]
