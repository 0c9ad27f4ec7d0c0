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
        (["x/T1.mgz", "x/T1.nii.gz", "x/T2.hdr"], ["T1_mgz", "T1", "T2"]),
        (["x/anat/T1.nii", "y/anat/T1.nii", "z/T2.nii"], ["x_anat_T1", "y_anat_T1", "T2"]),
    ],
)
def test_scans_of_one_name_are_told_apart_by_their_folders(tmp_path, files, expected):
    assert [s.name for s in group_subjects([tmp_path / f for f in files])] == expected


@pytest.mark.parametrize("sequences", [(), ("t1",)])
def test_files_of_one_name_are_told_apart_by_their_suffixes(tmp_path, sequences):
    files = [tmp_path / f"a_t1{end}" for end in (".NII", ".mgz", ".nii.gz")]
    name = "a" if sequences else "a_t1"
    made = group_subjects(files, sequences)
    assert [s.name for s in made] == [f"{name}_NII", f"{name}_mgz", name]
    assert [s.paths for s in made] == [(path,) for path in files]


PART = st.sampled_from(["a", "b", "a_b"])


@settings(deadline=None, max_examples=50)
@given(st.sets(st.lists(PART, min_size=1, max_size=4).map("/".join), min_size=1, max_size=8))
def test_names_are_unique(paths):
    scans = [Path("/data") / f"{p}.nii" for p in sorted(paths)]
    assert len({s.name for s in group_subjects(scans)}) == len(scans)


def test_names_that_folders_cannot_tell_apart_are_refused():
    paths = [Path(path) for path in ("/a__b.nii", "/a/b.nii", "/c/b.nii", "/a_b.nii")]
    assert [s.name for s in group_subjects(paths[1:])] == ["a__b", "c_b", "a_b"]
    with pytest.raises(ValueError, match="told apart"):
        group_subjects(paths)


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


def test_capitals_mgh_and_pairs_are_scans_and_a_pair_is_one(tmp_path):
    wanted = ["a.NII.GZ", "b.mgz", "c.mgh", "d.hdr"]
    touch(tmp_path, *wanted, "d.img", "lonely.img", "e.nrrd", "e.json")
    search = find_scans([tmp_path])
    assert found(search, tmp_path) == wanted
    assert search.listing.others == [tmp_path / "e.nrrd", tmp_path / "lonely.img"]


@pytest.mark.parametrize("name", ["T1_std", "a_seen", "b_twin", "c_pvalue", "d_anomaly"])
def test_names_like_ours_are_scans_unless_a_record_lies_beside_them(tmp_path, name):
    touch(tmp_path, f"{name}.nii.gz")
    assert found(find_scans([tmp_path]), tmp_path) == [f"{name}.nii.gz"]
    touch(tmp_path, "other.nii")
    info = tmp_path / f"{name.rpartition('_')[0]}_info.json"
    info.write_text("[1]")
    assert len(find_scans([tmp_path]).scans) == 2
    info.write_text('{"image_score": 1.0, "request": {}}')
    assert found(find_scans([tmp_path]), tmp_path) == ["other.nii"]


def test_results_of_a_data_set_are_known_by_their_record(tmp_path):
    wanted = ["sub-1_desc-twin_T1w.nii.gz", "sub-1_desc-mean_T1w.nii.gz"]
    touch(tmp_path, *wanted, "sub-1_T1w.nii.gz")
    assert len(find_scans([tmp_path]).scans) == 3
    (tmp_path / "sub-1_desc-anomaly_T1w.json").write_text('{"image_score": 1.0}')
    assert found(find_scans([tmp_path]), tmp_path) == ["sub-1_T1w.nii.gz", "sub-1_desc-mean_T1w.nii.gz"]


def test_folder_of_results_alone_says_so(tmp_path):
    touch(tmp_path, "a_anomaly.nii.gz", "a_seen.nii.gz", "notes.dcm")
    with pytest.raises(ValueError, match=r"found none \(passed over 2 masks and maps: .*1 \.dcm"):
        find_scans([tmp_path])


def test_linked_folders_are_searched_once_and_repeats_are_told(tmp_path):
    touch(tmp_path, "store/s1/a.nii", "in/s2/b.nii")
    (tmp_path / "in/s1").symlink_to(tmp_path / "store/s1")
    (tmp_path / "in/s3").symlink_to(tmp_path / "store/s1")
    (tmp_path / "in/self.nii").symlink_to("self.nii")
    search = find_scans([tmp_path / "in"])
    (tmp_path / "in/gone.nii").symlink_to("nowhere.nii")
    search = find_scans([tmp_path / "in"])
    assert found(search, tmp_path) == ["in/s1/a.nii", "in/s2/b.nii", "in/self.nii"]  # which fails by itself
    assert search.gaps == [tmp_path / "in/gone.nii"]
    assert search.listing.repeats == [tmp_path / "in/s3"]
    assert any("searched already" in line for line in search.describe_rest())


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31mred", "[bold]x", "=cmd", "-rf", "\udcff", "A" * 240])
def test_no_name_upsets_the_search(tmp_path, name):
    touch(tmp_path, f"{name}.nii", "A.nii", "a.nii")
    search = find_scans([tmp_path], mask="_brain")
    assert len(search.scans) == 3
    subjects = group_subjects(search.scans)
    assert {s.name for s in subjects} == {name, "A", "a"}
    with pytest.raises(ValueError, match="brain mask"):
        find_subject_mask(subjects[0], "_brain")


FMRIPREP = [f"sub-01_{s}" for s in ("desc-preproc_T1w", "space-MNI_desc-preproc_T1w", "desc-brain_mask")]


@pytest.mark.parametrize(
    ("scan", "mask"),
    [
        ("sub-01_desc-preproc_T1w", "sub-01_desc-brain_mask"),
        ("sub-01_space-MNI_desc-preproc_T1w", "sub-01_space-MNI_desc-brain_mask"),
        ("sub-01_T1w", "sub-01_desc-brain_mask"),
        ("sub-01_desc-preproc_T1w", "sub-01_mod-T1w_desc-brain_mask"),
        ("sub-01_ses-1_T1w", "sub-01_desc-brain_mask"),
    ],
)
def test_mask_is_found_by_its_entities(tmp_path, scan, mask):
    first, path = touch(tmp_path, f"{scan}.nii.gz", f"{mask}.NII.GZ")
    touch(tmp_path, *(f"{name}.nii.gz" for name in FMRIPREP if name != mask and "space" in mask))
    touch(tmp_path, "sub-02_desc-brain_mask.nii.gz", "sub-01_run-2_desc-brain_mask.nii.gz")
    (subject,) = group_subjects([first])
    assert find_subject_mask(subject, "_desc-brain_mask") == path


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("sub-1_space-A_desc-brain_mask", "sub-1_space-B_desc-brain_mask"), "space-A.* and .*space-B"),
        (("sub-1_desc-brain_mask", "sub-1_ses-2_T1w"), "sub-1_ses-1_T1w and sub-1_ses-2_T1w"),
    ],
)
def test_mask_that_could_be_another_is_an_error_that_names_both(tmp_path, names, message):
    scan, *_ = touch(tmp_path, "sub-1_ses-1_T1w.nii", *(f"{name}.nii" for name in names))
    (subject,) = group_subjects([scan])
    with pytest.raises(ValueError, match=message):
        find_subject_mask(subject, "_desc-brain_mask")


def test_mask_of_two_visits_is_an_error_but_sequences_share_theirs(tmp_path):
    visits = touch(tmp_path, "a_1.nii", "a_2.nii", "a_brain.nii", "b_t1.nii", "b_flair.nii", "b_brain.nii")
    first, *_, flair, mask = (*visits[:1], *visits[3:])
    with pytest.raises(ValueError, match="fits a_1 and a_2"):
        find_subject_mask(group_subjects([first])[0], "_brain")
    assert find_subject_mask(group_subjects([flair])[0], "_brain") == mask


def test_name_with_an_underscore_is_told_from_a_folder_and_a_name(tmp_path):
    paths = [tmp_path / "a_b.nii", tmp_path / "a" / "b.nii", tmp_path / "c" / "b.nii"]
    names = [subject.name for subject in group_subjects(paths)]
    assert names == [f"{tmp_path.name}__a_b", "a__b", "c_b"]
