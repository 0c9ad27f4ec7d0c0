"""Files become scans, scans become subjects, and no two share the name of their results."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.io.subjects import find_scans, find_subject_mask, group_subjects, parse_mask


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return [root / path for path in paths]


def found(search, root):
    return sorted(str(p.relative_to(root)) for p in search.scans)


def test_folder_is_searched_for_scans_but_not_for_hidden_files_own_maps_and_results(tmp_path):
    wanted = ["a.nii", "deep/er/b.nii.gz"]
    own = [f"a_{kind}.nii.gz" for kind in ("anomaly", "mask", "twin", "seen")]
    touch(tmp_path, *wanted, *own, ".hidden.nii", ".git/c.nii", "notes.txt", "out/d.nii.gz")
    search = find_scans([tmp_path], tmp_path / "out")
    assert found(search, tmp_path) == wanted
    assert len(search.ignored) == len(own)


@pytest.mark.parametrize("by_name", [True, False])
def test_masks_are_no_scans_however_they_are_given(tmp_path, by_name):
    files = touch(tmp_path, "a.nii.gz", "a_brain.nii.gz", "b.nii.gz", "b_brain.nii.gz")
    search = find_scans(files if by_name else [tmp_path], mask="_brain")
    assert found(search, tmp_path) == ["a.nii.gz", "b.nii.gz"]


def test_file_given_by_name_is_a_scan_even_if_it_is_called_like_a_map_of_ours(tmp_path):
    files = touch(tmp_path, "sub_twin.nii.gz")
    assert find_scans(files).scans == files


def test_file_given_twice_is_one_scan(tmp_path):
    files = touch(tmp_path, "a.nii")
    assert len(find_scans([*files, tmp_path, tmp_path / "." / "a.nii"]).scans) == 1


def test_folder_without_scans_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path}.*found none"):
        find_scans([tmp_path])


def test_only_masks_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="found only masks"):
        find_scans(touch(tmp_path, "a_brain.nii"), mask="_brain")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["x/a.nii", "y/b.nii.gz"], ["a", "b"]),
        (["x/T1.nii", "y/T1.nii"], ["x_T1", "y_T1"]),
        (["x/anat/T1.nii", "y/anat/T1.nii", "z/T2.nii"], ["x_anat_T1", "y_anat_T1", "T2"]),
    ],
)
def test_scans_of_one_name_are_told_apart_by_their_folders(tmp_path, files, expected):
    assert [s.name for s in group_subjects([tmp_path / f for f in files])] == expected


def test_two_files_that_cannot_be_told_apart_are_an_error_naming_both(tmp_path):
    with pytest.raises(ValueError, match=r"a\.nii and .*a\.nii\.gz"):
        group_subjects([tmp_path / "a.nii", tmp_path / "a.nii.gz"])


PART = st.sampled_from(["a", "b", "a_b"])


@settings(deadline=None, max_examples=50)
@given(st.sets(st.lists(PART, min_size=1, max_size=4).map("/".join), min_size=1, max_size=8))
def test_names_are_unique(paths):
    scans = [Path("/data") / f"{p}.nii" for p in sorted(paths)]
    joined = {str(p.with_suffix("")).strip("/").replace("/", "_") for p in scans}
    if len(joined) < len(scans):  # a_b/a.nii and a/b_a.nii would both be a_b_a
        return
    assert len({s.name for s in group_subjects(scans)}) == len(scans)


def test_names_that_folders_cannot_tell_apart_are_refused(tmp_path):
    with pytest.raises(ValueError, match="told apart"):
        group_subjects([tmp_path / "a" / "b.nii", tmp_path / "c" / "b.nii", tmp_path / "a_b.nii"])


def test_sequences_of_a_subject_come_in_the_order_asked_for(tmp_path):
    files = [
        tmp_path / f
        for f in ("A_flair.nii", "A_t1.nii", "B-t1.nii", "B-flair.nii", "C/t1.nii", "C/flair.nii")
    ]
    made = group_subjects(files, ["t1", "flair"])
    assert [s.name for s in made] == ["A", "B", "C"]
    assert [[p.name for p in s.paths] for s in made][:2] == [
        ["A_t1.nii", "A_flair.nii"],
        ["B-t1.nii", "B-flair.nii"],
    ]
    assert not any(s.missing for s in made)


def test_missing_sequence_is_known_by_name(tmp_path):
    (made,) = group_subjects([tmp_path / "A_t1.nii"], ["t1", "flair"])
    assert made.missing == ("flair",)


def test_longer_sequence_name_wins_over_its_end(tmp_path):
    (made,) = group_subjects([tmp_path / "A_ce_t1.nii", tmp_path / "A_t1.nii"], ["t1", "ce_t1"])
    assert [p.name for p in made.paths] == ["A_t1.nii", "A_ce_t1.nii"]


def test_no_file_of_any_sequence_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="end in t1 or t2"):
        group_subjects([tmp_path / "a.nii"], ["t1", "t2"])


@pytest.mark.parametrize("mask", ["sub_T1w_brain.nii.gz", "sub_brain.nii", "_brain.nii.gz"])
def test_mask_is_found_beside_its_scan(tmp_path, mask):
    scan, path = touch(tmp_path, "sub_T1w.nii.gz", mask)
    (subject,) = group_subjects([scan])
    assert find_subject_mask(subject, "_brain") == path


def test_mask_that_is_not_there_is_an_error_with_its_name(tmp_path):
    (subject,) = group_subjects(touch(tmp_path, "sub.nii"))
    with pytest.raises(ValueError, match=r"sub_brain\.nii\.gz beside it"):
        find_subject_mask(subject, "_brain")


def test_mask_option_is_a_file_or_an_ending(tmp_path):
    (file,) = touch(tmp_path, "m.nii.gz")
    assert parse_mask(str(file)) == file
    assert parse_mask("_brain.nii.gz") == parse_mask("_brain") == "_brain"
    with pytest.raises(ValueError, match="no such file"):
        parse_mask(str(tmp_path / "nowhere.nii.gz"))
