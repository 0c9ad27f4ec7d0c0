"""Results of DICOM series in the space of the template, at once and added to finished ones."""

import json

import nibabel as nib
import numpy as np
import pytest

from diffad.io.spaces import TEMPLATE_SPACE
from diffad.prepare import template as templates
from tests.dicom.test_predict import QUICK, head, write_visit
from tests.helpers.ways import coarsen_template, register_at_once

KINDS = ("scan", "anomaly", "mask", "seen")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    register_at_once(monkeypatch)
    coarsen_template(monkeypatch)


def read(folder):
    return {
        kind: nib.load(folder / f"case_space-{TEMPLATE_SPACE}_{kind}.nii.gz").get_fdata() for kind in KINDS
    }


def test_series_is_brought_to_the_template_at_once_or_later_alike(predict, tmp_path):
    write_visit(tmp_path / "dicom" / "case")
    code, told = predict(*QUICK, "--space", TEMPLATE_SPACE, scans=(tmp_path / "dicom",))
    assert code == 0, told
    at_once = read(predict.out)
    assert at_once["scan"].shape == templates.load_mni152().grid.shape
    assert 0.5 * head().max() < at_once["scan"].max() <= head().max()
    predict(*QUICK, "--overwrite", scans=(tmp_path / "dicom",))
    before = json.loads((predict.out / "case_info.json").read_text())
    code, told = predict(*QUICK, "--space", TEMPLATE_SPACE, scans=(tmp_path / "dicom",))
    assert (code, "1 done before" in told, "warning" in told.split("in MNI152")[0]) == (0, True, False), told
    later = read(predict.out)
    assert all(np.array_equal(at_once[kind], later[kind]) for kind in KINDS)
    after = json.loads((predict.out / "case_info.json").read_text())
    assert {k: v for k, v in after.items() if k not in ("spaces", "files")} == {
        k: v for k, v in before.items() if k != "files"
    }
