"""Names of NIfTI files."""

from pathlib import Path

import pytest

from diffad.io.nifti import stem


@pytest.mark.parametrize(
    ("path", "name"), [("a/sub-01_T1w.nii.gz", "sub-01_T1w"), ("x.nii", "x"), ("a.b.nii.gz", "a.b")]
)
def test_name_of_a_scan_has_no_suffix(path, name):
    assert stem(Path(path)) == name
