import shutil

from diffad.data.layouts.find import list_entries
from tests.helpers.trees import nifti, wmh


def test_label_one_is_lesion_and_two_does_not_count(tmp_path):
    entries = list_entries(wmh(tmp_path)).entries
    assert [(e.name, e.group) for e in entries] == [
        ("Amsterdam-GE3T-0", "Amsterdam/GE3T"), ("Singapore-50", "Singapore"), ("Utrecht-0", "Utrecht"),
    ]  # fmt: skip
    assert all((e.positive, e.ignored) == ((1,), (2,)) for e in entries)
    assert all(p.parent.name == "pre" for e in entries for p in e.images.values())


def test_original_is_taken_where_nothing_is_preprocessed(tmp_path):
    shutil.rmtree(wmh(tmp_path) / "Utrecht" / "0" / "pre")
    listing = list_entries(tmp_path)
    assert listing.problems == []
    assert {k: p.parent.name for k, p in listing.entries[2].images.items()} == {"flair": "orig", "t1": "orig"}


def test_splits_follow_from_the_folders_of_the_release(tmp_path):
    wmh(tmp_path / "training")
    for what in ("pre/FLAIR", "pre/T1", "wmh"):
        nifti(tmp_path / "test" / "Amsterdam" / "Philips_VU .PETMR_01." / "60" / f"{what}.nii.gz")
    listing = list_entries(tmp_path)
    assert listing.problems == []
    assert [e.split for e in listing.entries] == ["train", "test", "train", "train"]
    assert [e.split for e in list_entries(tmp_path / "training").entries] == ["train"] * 3


def test_missing_mask_and_flair_are_told(tmp_path):
    wmh(tmp_path)
    (tmp_path / "Singapore" / "50" / "wmh.nii.gz").unlink()
    for folder in ("pre", "orig"):
        (tmp_path / "Utrecht" / "0" / folder / "FLAIR.nii.gz").unlink()
    mask, sequence = list_entries(tmp_path).problems
    assert "expected a lesion mask of Singapore-50" in mask
    assert "expected flair of Utrecht-0, found t1" in sequence
