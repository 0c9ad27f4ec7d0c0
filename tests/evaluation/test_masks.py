"""Which lesion mask belongs to which scan; what could be meant for two is refused."""

import json
import os

import numpy as np
import pytest

from diffad.evaluation.masks import BRAIN, LESION, MaskFolder, find_mask
from diffad.evaluation.predictions import collect_predictions
from tests.evaluation.test_cohort import add, lesion


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [folder / name for name in names]


@pytest.mark.parametrize("name", ["scan[1]", "a*", "what?", "[!x]"])
def test_signs_of_patterns_in_names_are_letters(tmp_path, name):
    touch(tmp_path, "scan1_lesion.nii.gz", "ab_lesion.nii.gz", "whats_lesion.nii.gz", "y_lesion.nii.gz")
    assert find_mask(name, tmp_path, LESION) is None
    (path,) = touch(tmp_path, f"{name}_lesion.nii.gz")
    assert find_mask(name, tmp_path, LESION) == path


@pytest.mark.parametrize(
    ("scan", "mask"),
    [
        ("sub-01_T1w", "sub-01_label-lesion_mask.nii.gz"),
        ("sub-01_ses-1_T1w", "sub-01_ses-1_space-orig_label-L_desc-T1lesion_mask.nii.gz"),
        ("sub-01_desc-preproc_T1w", "sub-01_label-lesion_roi.nii"),
        ("sub-01_ses-1_T1w", "sub-01_lesion.nii.gz"),
        ("sub-01_T1w", "sub-01_T1w_label-lesion_mask.nii.gz"),
        ("a", "a_lesion.NII.GZ"),
        ("a", "a_seg.mgz"),
        ("a_flair", "a_seg.nii.gz"),
    ],
)
def test_mask_is_found_by_its_entities_whatever_its_suffix(tmp_path, scan, mask):
    (path,) = touch(tmp_path / "deep", mask)
    touch(tmp_path, "sub-01_desc-brain_mask.nii.gz", "sub-01_label-GM_mask.nii.gz", "sub-02_lesion.nii.gz")
    assert find_mask(scan, tmp_path, LESION) == path


def test_mask_of_a_brain_is_none_of_a_lesion_and_the_other_way_round(tmp_path):
    lesion_path, brain_path = touch(
        tmp_path, "sub-1_label-lesion_mask.nii.gz", "sub-1_desc-brain_mask.nii.gz"
    )
    assert find_mask("sub-1_T1w", tmp_path, LESION) == lesion_path
    assert find_mask("sub-1_T1w", tmp_path, BRAIN) == brain_path


def test_linked_folder_holds_masks_too(tmp_path):
    (path,) = touch(tmp_path / "store", "a_lesion.nii.gz")
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "more").symlink_to(tmp_path / "store")
    (tmp_path / "masks" / "loop").symlink_to("loop")
    assert find_mask("a", tmp_path / "masks", LESION).resolve() == path


@pytest.mark.parametrize(
    ("files", "scans", "message"),
    [
        (
            ["sub-01_lesion"],
            ["sub-01_ses-1_T1w", "sub-01_ses-2_T1w"],
            "sub-01_ses-1_T1w and sub-01_ses-2_T1w",
        ),
        (["sub-01_lesion"], ["sub-01_ses-1", "sub-01_ses-2"], "sub-01_ses-1 and sub-01_ses-2"),
        (["a_lesion"], ["a_1", "a_2"], "a_1 and a_2"),
        (
            ["sub-1_label-core_mask", "sub-1_label-edema_mask"],
            ["sub-1_T1w"],
            "core.* and .*label-edema",
        ),
    ],
)
def test_what_could_be_meant_for_two_is_an_error_naming_both(tmp_path, files, scans, message):
    touch(tmp_path, *(f"{name}.nii.gz" for name in files))
    with pytest.raises(ValueError, match=message):
        MaskFolder(tmp_path, LESION, scans).find(scans[0])


def test_sequences_of_one_session_share_their_mask(tmp_path):
    (path,) = touch(tmp_path, "a_seg.nii.gz")
    masks = MaskFolder(tmp_path, LESION, ["a_t1", "a_flair"])
    assert [masks.find(name) for name in ("a_t1", "a_flair")] == [path, path]


def test_scan_beside_the_masks_is_never_its_own_mask(tmp_path):
    add(tmp_path, "s0", 0, scan=[str(tmp_path / "masks" / "s0.nii.gz")])
    add(tmp_path, "s1", 1, lesion())
    touch(tmp_path / "masks", "s0.nii.gz")
    predictions = collect_predictions(tmp_path / "maps", tmp_path / "masks")
    assert predictions.missing == ["s0"]


def test_masks_that_matched_nothing_are_all_counted_and_the_first_are_named(tmp_path):
    add(tmp_path, "s0", 0, lesion())
    touch(tmp_path / "masks", *(f"x{k:02}_mask.nii.gz" for k in range(12)))
    (warning,) = collect_predictions(tmp_path / "maps", tmp_path / "masks").warnings
    assert warning.startswith("lesion masks without a prediction: x00_mask, x01_mask")
    assert warning.endswith("x09_mask and 2 more")


def test_scan_is_not_healthy_while_a_mask_may_be_of_it(tmp_path):
    add(tmp_path, "sub-01_T1w", 0)
    add(tmp_path, "sub-02_T1w", 1, np.zeros_like(lesion()))
    touch(tmp_path / "masks", "sub-01_ses-1_label-lesion_mask.nii.gz")
    with pytest.raises(ValueError, match=r"sub-01_ses-1_label-lesion.* may be of sub-01_T1w"):
        collect_predictions(tmp_path / "maps", tmp_path / "masks", healthy_without_mask=True)
    assert collect_predictions(tmp_path / "maps", tmp_path / "masks").missing == ["sub-01_T1w"]


def test_damaged_record_of_a_map_is_named(tmp_path):
    add(tmp_path, "s0", 0, lesion())
    (tmp_path / "maps" / "s0_info.json").write_text(json.dumps({"image_score": "high"}))
    with pytest.raises(ValueError, match=r"s0_info\.json: .* a number for image_score, found 'high'"):
        list(collect_predictions(tmp_path / "maps", tmp_path / "masks").read())


def test_one_brain_mask_for_two_visits_is_refused_before_anything_is_read(tmp_path):
    for name in ("a_1", "a_2"):
        add(tmp_path, name, 0, lesion())
    touch(tmp_path / "brains", "a_brain.nii.gz")
    with pytest.raises(ValueError, match="fits a_1 and a_2"):
        collect_predictions(tmp_path / "maps", tmp_path / "masks", tmp_path / "brains")


def test_pipe_as_record_of_a_map_is_named_and_not_waited_on(tmp_path):
    add(tmp_path, "s0", 0, lesion())
    (tmp_path / "maps" / "s0_info.json").unlink()
    os.mkfifo(tmp_path / "maps" / "s0_info.json")
    with pytest.raises(ValueError, match="found a named pipe"):
        list(collect_predictions(tmp_path / "maps", tmp_path / "masks").read())


@pytest.mark.parametrize(
    "name",
    ["SUB-03_lesion", "sub-03-lesion", "lesion_sub-03", "sub-03/lesion", "sub-03_wmh", "sub-03_dseg"],
)
def test_mask_of_an_odd_name_is_near_its_subject(tmp_path, name):
    (path,) = touch(tmp_path, f"{name}.nii.gz")
    folder = MaskFolder(tmp_path, LESION, ["sub-03_T1w", "sub-4_T1w"])
    assert folder.find("sub-03_T1w") is None
    assert folder.find_near("sub-03_T1w", []) == path
    assert folder.find_near("sub-4_T1w", []) is None
    assert folder.find_near("sub-03_T1w", [path]) is None


OTHERS = ["sub-03_FLAIR", "sub-03_ses-2_lesion", "sub-003_lesion", "sub-03_label-WM_dseg"]


@pytest.mark.parametrize("name", OTHERS)
def test_mask_of_others_is_not_near(tmp_path, name):
    touch(tmp_path, f"{name}.nii.gz")
    assert MaskFolder(tmp_path, LESION, []).find_near("sub-03_ses-1_T1w", []) is None


@pytest.mark.parametrize("name", ["sub-03_run-01_label-lesion_dseg", "sub-03_run-1_label-lesion_probseg"])
def test_segmentation_with_a_label_is_the_mask_of_its_scan(tmp_path, name):
    (path,) = touch(tmp_path, f"{name}.nii.gz")
    assert MaskFolder(tmp_path, LESION, []).find("sub-03_run-1_T1w") == path
