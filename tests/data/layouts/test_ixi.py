from diffad.data.layouts.find import list_entries
from tests.helpers.trees import ixi, nifti, table


def test_lists_healthy_subjects_by_hospital(tmp_path):
    entries = list_entries(ixi(tmp_path)).entries
    assert [(e.subject, e.group, e.label) for e in entries] == [
        ("IXI002", "Guys", 0), ("IXI012", "HH", 0), ("IXI035", "IOP", 0),
    ]  # fmt: skip
    assert all(set(e.images) == {"t1", "t2"} for e in entries)


def test_one_sequence_alone_is_no_problem(tmp_path):
    for path in (ixi(tmp_path) / "IXI-T2").iterdir():
        path.unlink()
    (tmp_path / "IXI-T2").rmdir()
    listing = list_entries(tmp_path)
    assert listing.problems == []
    assert [set(e.images) for e in listing.entries] == [{"t1"}] * 3


def test_sequence_that_others_of_the_hospital_have_is_missed(tmp_path):
    nifti(ixi(tmp_path) / "IXI-T1" / "IXI003-Guys-0829-T1.nii.gz")
    (line,) = list_entries(tmp_path).problems
    assert line.endswith("expected t2 of IXI003-Guys-0829, found t1")


def test_subject_scanned_twice_is_told(tmp_path):
    for sequence in ("T1", "T2"):
        nifti(ixi(tmp_path) / f"IXI-{sequence}" / f"IXI002-Guys-0999-{sequence}.nii.gz")
    listing = list_entries(tmp_path)
    assert len(listing.entries) == 4
    (line,) = listing.problems
    assert line.endswith("one entry for each subject, found IXI002 in IXI002-Guys-0828, IXI002-Guys-0999")


def test_numbers_that_the_sheet_repeats_are_told(tmp_path):
    path = table(ixi(tmp_path) / "IXI.csv", ("IXI_ID", "AGE"), [(2, 35.8), (12, 38.7), (2, 36.1)])
    assert list_entries(tmp_path).problems == [
        f"{path}: found numbers listed more than once in IXI_ID (1): 2"
    ]


def test_sheet_that_is_no_text_is_a_problem_and_no_end(tmp_path):
    (ixi(tmp_path) / "IXI.csv").write_bytes(b"IXI_ID\n\xff\xfe\n")
    listing = list_entries(tmp_path, "ixi")
    assert len(listing.entries) == 3
    assert "IXI.csv: expected a CSV in UTF-8" in listing.problems[0]


def test_diffusion_images_are_passed_over(tmp_path):
    nifti(ixi(tmp_path) / "IXI-DTI" / "IXI002-Guys-0828-DTI-00.nii.gz")
    assert list_entries(tmp_path).problems == []
