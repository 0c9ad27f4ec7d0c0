"""Names and tables say which files are a scan, whose it is and where its mask lies."""

import pytest

from diffad.data.items import DataError
from diffad.data.names import find_volume_mask, infer_subject_below, strip_sequence
from diffad.data.scan_files import ScanRules
from diffad.data.scan_listing import list_folder, list_table
from diffad.data.scan_search import match_glob


@pytest.fixture
def touch(tmp_path):
    """Make empty files below the folder and return it."""

    def call(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return call


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("sub-01_T1w.nii.gz", "sub-01"),
        ("site-2/sub-01/ses-1/anat/scan.nii", "sub-01"),
        ("patient7/visit2/t1.nii.gz", "patient7"),
        ("IXI012-Guys-0828-T1.nii.gz", None),
    ],
)
def test_subject_is_the_entity_or_the_outermost_folder(tmp_path, name, subject):
    assert infer_subject_below(tmp_path / name, tmp_path) == subject


@pytest.mark.parametrize(
    ("name", "sequence", "rest"),
    [
        ("case_t1.nii.gz", "t1", "case"),
        ("t1.nii", "T1", ""),
        ("case_t1c.nii.gz", "t1", None),
        ("caset1.nii.gz", "t1", None),
        ("glioma_t1_head.nii.gz", "*_t1_head.nii.gz", "glioma"),
        ("glioma_t1c_head.nii.gz", "*_t1_head.nii.gz", None),
    ],
)
def test_sequence_is_the_last_word_or_a_pattern(tmp_path, name, sequence, rest):
    assert strip_sequence(tmp_path / name, sequence) == rest


@pytest.mark.parametrize(
    ("scan", "pattern", "mask"),
    [
        ("sub-1_T1w.nii.gz", "*_mask.nii.gz", "sub-1_T1w_mask.nii.gz"),
        ("sub-2_T1w.nii.gz", "*_mask.nii.gz", "sub-2_mask.nii.gz"),
        ("sub-22_T1w.nii.gz", "*_mask.nii.gz", None),
        ("x/t1.nii.gz", "brain.nii.gz", "x/brain.nii.gz"),
        ("x/t1.nii.gz", "*brain.nii.gz", "x/brain.nii.gz"),
    ],
)
def test_mask_has_the_longest_name_that_begins_like_the_scan(touch, scan, pattern, mask):
    root = touch("sub-1_T1w_mask.nii.gz", "sub-1_mask.nii.gz", "sub-2_mask.nii.gz", "x/brain.nii.gz", scan)
    assert find_volume_mask(root / scan, pattern) == (root / mask if mask else None)


def test_mask_pattern_with_two_stars_is_refused(touch):
    with pytest.raises(DataError, match="at most one"):
        find_volume_mask(touch("a.nii") / "a.nii", "*_*_mask.nii")


def test_folder_lists_volumes_only_and_in_order(touch):
    root = touch("b.nii", "a.nii.gz", "a.nii.json", ".c.nii", "a_mask.nii.gz", "notes.txt")
    scans = list_folder(root, ScanRules(mask="*_mask.nii.gz", pattern="a*"))
    assert [(s.files[0].name, s.mask.name, s.subject) for s in scans] == [("a.nii.gz", "a_mask.nii.gz", "a")]
    assert [s.files[0].name for s in list_folder(root, ScanRules())] == ["a.nii.gz", "a_mask.nii.gz", "b.nii"]


def test_folder_without_volumes_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected volumes"):
        list_folder(tmp_path, ScanRules())
    with pytest.raises(DataError, match="absent: expected a folder"):
        list_folder(tmp_path / "absent", ScanRules())


def test_sequences_meet_by_folder_subject_and_visit(touch):
    names = [f"sub-1/ses-{v}/sub-1_ses-{v}_{s}.nii" for v in (1, 2) for s in ("FLAIR", "T1w")]
    flat = [f"sub-2_ses-{v}_{s}.nii" for v in (1, 2) for s in ("FLAIR", "T1w")]
    scans = list_folder(touch(*names, *flat), ScanRules(sequences=("t1w", "flair")))
    result = [(scan.subject, *(file.name for file in scan.files)) for scan in scans]
    expected = [
        (s, f"{s}_ses-{v}_T1w.nii", f"{s}_ses-{v}_FLAIR.nii") for s in ("sub-1", "sub-2") for v in (1, 2)
    ]
    assert result == expected


def test_missing_and_doubled_sequences_are_refused(touch):
    root = touch("x/a_t1.nii", "x/a_flair.nii", "y/b_t1.nii")
    with pytest.raises(DataError, match=r"b_t1\.nii: expected a file for each.*none for flair"):
        list_folder(root, ScanRules(sequences=("t1", "flair")))
    touch("y/b_flair.nii", "x/c_t1.nii")
    with pytest.raises(DataError, match=r"one file for 't1' of x, found two: .*a_t1\.nii and .*c_t1\.nii"):
        list_folder(root, ScanRules(sequences=("t1", "flair")))
    with pytest.raises(DataError, match="expected files of the sequences"):
        list_folder(root, ScanRules(sequences=("swi",)))


def table(folder, text):
    path = folder / "tables" / "scans.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_table_names_subjects_masks_and_splits(touch):
    root = touch("a.nii", "deep/b.nii", "m.nii", "tables/c.nii", "tables/sub-5.nii")
    rows = ["path, subject, mask, split, age", "a.nii, p1, m.nii, train, 40", "deep/b.nii, , , val,"]
    rows += ["c.nii,p2,,val,9", "sub-5.nii,,,val"]
    scans = list_table(table(root, "\n".join(rows)), root, ScanRules())
    assert [scan.subject for scan in scans] == ["p1", "deep", "p2", "sub-5"]
    assert [scan.split for scan in scans] == ["train", "val", "val", "val"]
    assert [scan.mask for scan in scans] == [root / "m.nii", None, None, None]
    assert scans[2].files == (root / "tables" / "c.nii",)


def test_subject_of_a_table_joins_sequences_of_several_folders(touch):
    root = touch("t1/x.t1.nii", "flair/y.flair.nii")
    path = table(root, "path,subject\nflair/y.flair.nii,p\nt1/x.t1.nii,p\n")
    (scan,) = list_table(path, root, ScanRules(sequences=("t1", "flair")))
    assert [file.name for file in scan.files] == ["x.t1.nii", "y.flair.nii"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"expected a column path, found an empty file"),
        ("file,subject\na.nii,x\n", r"expected a column path, found file, subject"),
        ("path\n", "found no rows"),
        ("path\na.nii\nb.nii\n", r"line 3: expected a NIfTI file, found none at .*b\.nii or .*b\.nii"),
        ("path,mask\na.nii,b.nii\n", r"line 2: expected a NIfTI file, found none at .*b\.nii"),
        ("path,split\na.nii,train\na.nii,\n", r"expected a split in each row, found none in line 3"),
        ("path,subject\n,x\n", r"line 2: expected a NIfTI file"),
    ],
)
def test_unusable_table_is_refused(touch, text, reason):
    root = touch("a.nii")
    with pytest.raises(DataError, match=rf"scans\.csv.*{reason}"):
        list_table(table(root, text), root, ScanRules())


def test_unreadable_table_is_named(tmp_path):
    with pytest.raises(DataError, match=r"absent\.csv: expected a CSV"):
        list_table(tmp_path / "absent.csv", tmp_path, ScanRules())
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00path")
    with pytest.raises(DataError, match=r"binary\.csv: expected a CSV"):
        list_table(tmp_path / "binary.csv", tmp_path, ScanRules())


def test_every_suffix_is_a_volume_and_a_pattern_of_ones_own_is_kept(touch):
    root = touch("a.NII.GZ", "b.mgz", "c.hdr", "c.img", "deep/d.nii", "sub-1_dseg.nii", "deep/e_T1w.nii")
    with pytest.warns(UserWarning, match=r"passed over 1 masks, labels and maps: .*sub-1_dseg\.nii"):
        scans = list_folder(root, ScanRules())
    names = ["a.NII.GZ", "b.mgz", "c.hdr", "d.nii", "e_T1w.nii"]
    assert [scan.files[0].name for scan in scans] == names
    chosen = list_folder(root, ScanRules("**/*_T1w.nii*"))
    assert [scan.files[0].name for scan in chosen] == ["e_T1w.nii"]
    assert [s.files[0].name for s in list_folder(root, ScanRules("*_dseg.nii"))] == ["sub-1_dseg.nii"]


def test_linked_folders_are_listed_and_what_has_no_content_is_counted(touch, tmp_path):
    root = touch("in/a.nii", "store/s2/b.nii", "in/notes.nrrd") / "in"
    (root / "s2").symlink_to(tmp_path / "store" / "s2")
    (root / "gone.nii").symlink_to("../.git/annex/objects/x")
    (root / "lfs.nii").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.warns(UserWarning, match=r"2 of 4 scans have no content: fetch it first.*volume: 1 \.nrrd"):
        scans = list_folder(root, ScanRules())
    assert [scan.files[0].name for scan in scans] == ["a.nii", "b.nii"]


def test_mask_has_the_entities_of_its_scan(touch):
    mask = "sub-1_ses-1_desc-brain_mask.nii.gz"
    root = touch("sub-1_ses-1_desc-preproc_T1w.nii.gz", mask, "sub-1_mask.nii.gz", "sub-1_ses-2_T1w.nii.gz")
    scans = [root / f"sub-1_ses-{k}_{end}.nii.gz" for k, end in ((1, "desc-preproc_T1w"), (2, "T1w"))]
    assert find_volume_mask(scans[0], "*_desc-brain_mask.nii.gz") == root / mask
    assert find_volume_mask(scans[1], "*_desc-brain_mask.nii.gz") is None
    with pytest.raises(DataError, match=r"sub-1_ses-2_T1w and sub-1_ses-1"):
        find_volume_mask(scans[1], "*_mask.nii.gz")


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("**/*.nii*", "a.nii", True),
        ("**/*.nii*", "x/y/a.nii.gz", True),
        ("*.nii", "x/a.nii", False),
        ("x/**/b?.nii", "x/b1.nii", True),
        ("[!x]/*.nii", "y/a.nii", True),
    ],
)
def test_globs_mean_what_they_mean_to_paths(pattern, path, fits):
    assert match_glob(path.split("/"), pattern.split("/")) == fits
