"""Names of the files that hold volumes."""

from pathlib import Path

import pytest

from diffad.io.nifti import PARTNERS, SUFFIXES, is_volume_name, stem


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/sub-01_T1w.nii.gz", "sub-01_T1w"),
        ("x.nii", "x"),
        ("a.b.nii.gz", "a.b"),
        ("B.NII.GZ", "B"),
        ("a/T1.mgz", "T1"),
        ("Orig.MGH", "Orig"),
        ("p.hdr", "p"),
        ("p.img", "p"),
        ("p.Img.gz", "p"),
        ("_mask", "_mask"),
        (".nii.gz", ""),
    ],
)
def test_name_of_a_scan_has_no_suffix(path, name):
    assert stem(Path(path)) == name


@pytest.mark.parametrize("suffix", [*SUFFIXES, *PARTNERS])
def test_every_suffix_falls_away_in_small_letters_and_in_capitals(suffix):
    assert stem(Path(f"a/sub-1.2{suffix}")) == stem(Path(f"a/sub-1.2{suffix.upper()}")) == "sub-1.2"


@pytest.mark.parametrize("name", ["a.nii", "A.NII.GZ", "T1.mgz", "T1.MGH", "p.hdr"])
def test_volumes_are_known_by_their_names(name):
    assert is_volume_name(name)
    assert is_volume_name(Path("folder") / name)


@pytest.mark.parametrize("name", ["p.img", "notes.txt", "a.nii.json", "nii", "a.png", "a.nii.gz.partial"])
def test_a_pair_is_known_by_its_header_and_other_files_are_no_volumes(name):
    assert not is_volume_name(name)
