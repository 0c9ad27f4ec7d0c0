from diffad.data.layouts.find import list_entries
from tests.helpers.trees import behrendt, fold, nifti


def test_lists_healthy_for_training_and_lesions_for_tests(tmp_path):
    entries = list_entries(behrendt(tmp_path)).entries
    assert [(e.subject, e.group, e.split, e.label, e.lesion is not None) for e in entries] == [
        ("BraTS2021_01122", "Brats21", "test", None, True),
        ("IXI002", "ixi", "train", 0, False),
        ("IXI012", "ixi", "train", 0, False),
        ("patient29", "MSLUB", "test", None, True),
    ]
    assert all(e.brain for e in entries)
    assert [sorted(e.images) for e in entries] == [["t2"], ["t1", "t2"], ["t1", "t2"], ["t2"]]


def test_subject_in_train_and_test_of_a_fold_is_a_leak(tmp_path):
    behrendt(tmp_path)
    fold(tmp_path, "IXI_test", "IXI002-Guys-0999", "IXI600-HH-1000")
    assert list_entries(tmp_path).problems == [
        f"{tmp_path / 'splits'}: expected each subject in one split of fold 0, found IXI002 in test, train"
    ]


def test_subject_in_other_splits_of_other_folds_is_no_leak(tmp_path):
    fold(behrendt(tmp_path), "IXI_val_fold_1", "IXI002-Guys-0828")
    assert list_entries(tmp_path).problems == []


def test_subjects_that_a_table_repeats_are_counted(tmp_path):
    path = fold(behrendt(tmp_path), "IXI_train_fold0", *["IXI002-Guys-0828"] * 2, "IXI003-Guys-0829")
    assert list_entries(tmp_path).problems == [f"{path}: found subjects listed more than once (1): IXI002"]


def test_table_without_names_is_told(tmp_path):
    path = behrendt(tmp_path) / "splits" / "IXI_test.csv"
    path.write_text("id\n3\n")
    assert list_entries(tmp_path, "behrendt").problems == [f"{path}: expected a column img_name, found id"]


def test_missing_masks_and_sequences_are_told(tmp_path):
    behrendt(tmp_path)
    for file in (
        "Train/ixi/t2/IXI012-HH-1211_t2",
        "Train/ixi/mask/IXI002-Guys-0828_mask",
        "Test/MSLUB/seg/patient29_seg",
    ):
        (tmp_path / f"{file}.nii.gz").unlink()
    text = "\n".join(list_entries(tmp_path, "behrendt").problems)
    assert "expected t2 of IXI012-HH-1211, found t1" in text
    assert "expected a brain mask of IXI002-Guys-0828, found none" in text
    assert "expected a lesion mask of patient29, found none" in text


def test_scan_of_one_subject_under_two_names_is_told(tmp_path):
    behrendt(tmp_path)
    for what in ("t1", "t2", "mask"):
        nifti(tmp_path / "Train" / "ixi" / what / f"IXI002-HH-0001_{what}.nii.gz")
    (line,) = list_entries(tmp_path, "behrendt").problems
    assert line.endswith("one entry for each subject, found IXI002 in IXI002-Guys-0828, IXI002-HH-0001")
