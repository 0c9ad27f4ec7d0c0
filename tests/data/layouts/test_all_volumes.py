"""What holds for every layout of volumes."""

import pytest

from diffad.data.items import DataError
from diffad.data.layouts.find import list_entries, recognise
from diffad.registry import LAYOUTS
from tests.helpers.trees import TREES, nifti


@pytest.fixture(params=sorted(TREES))
def name(request):
    return request.param


@pytest.fixture
def root(name, tmp_path):
    return TREES[name](tmp_path / "data")


def test_tree_is_recognised_best_by_its_own_layout(name, root):
    result = recognise(root)
    assert result[0][0] == name
    assert all(hits < result[0][1] for _, hits in result[1:])


def test_tree_as_given_out_has_no_problems(name, root):
    listing = list_entries(root)
    assert listing.layout == name
    assert listing.problems == []


def test_entries_are_sorted_with_unique_names_and_files_that_are_there(root):
    entries = list_entries(root).entries
    names = [e.name for e in entries]
    assert names == sorted(set(names))
    assert all(p.is_file() for e in entries for p in (*e.images.values(), e.lesion, e.brain) if p)


def test_hidden_files_are_ignored(root):
    before = list_entries(root)
    for path in [p for p in root.rglob("*") if p.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"resource fork")
        copy = root / "__MACOSX" / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(b"")
    assert list_entries(root, before.layout).entries == before.entries
    assert list_entries(root, before.layout).problems == before.problems


def test_strangers_are_counted_and_three_are_named(name, root):
    if name == "fastmri_plus":
        pytest.skip("scans that nobody annotated are no fault")
    for i in range(5):
        nifti(root / "elsewhere" / f"odd{i}.nii.gz")
    (line,) = list_entries(root, name).problems
    assert "found files that fit no rule (5): elsewhere/odd0.nii.gz" in line
    assert line.endswith("odd2.nii.gz, ...")


def test_upper_case_suffix_is_read(name, root):
    before = list_entries(root).entries
    for path in [p for p in root.rglob("*.gz")]:
        path.rename(path.with_name(path.name.replace(".nii.gz", ".NII.GZ")))
    for path in [p for p in root.rglob("*.nii")]:
        path.rename(path.with_suffix(".NII"))
    assert [e.name for e in list_entries(root, name).entries] == [e.name for e in before]


def test_empty_folder_is_an_error_that_names_it(name, tmp_path):
    assert LAYOUTS.build(name).fits(tmp_path) == 0
    with pytest.raises(DataError, match=str(tmp_path)):
        LAYOUTS.build(name).entries(tmp_path)


def test_folders_left_empty_are_told(name, root):
    if name == "fastmri_plus":
        pytest.skip("its folders have no meaning")
    (root / "lost").mkdir()
    (line,) = list_entries(root, name).problems
    assert "found empty folders (1): lost" in line
