"""Scans as the scanner left them: made ready in memory, and all results on their own grid."""

import nibabel as nib
import numpy as np
import pytest

from tests.helpers.cohorts import AFFINE, SHAPE, brain, info, inside, load, table, write

pytest.importorskip("SimpleITK")
QUICK = ("--prepare", "--brain", "none", "--register", "none", "--no-bias", "--no-page")
TURN = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]])


@pytest.fixture
def tilted(cohort):
    """A scan larger than the least, on an oblique grid stored to the left."""
    affine = np.eye(4)
    affine[:3, :3] = TURN @ np.diag([-2.0, 2.0, 3.0])
    for path in cohort.iterdir():
        path.unlink()
    return write(cohort / "tilted.nii.gz", brain(3, (30, 32, 20)), affine)


def test_results_lie_on_the_grid_of_the_scan(predict, tilted):
    code, told = predict(*QUICK)
    assert code == 0, told
    scan = nib.load(tilted)
    for kind in ("anomaly", "mask", "twin", "seen"):
        made = nib.load(predict.out / f"tilted_{kind}.nii.gz")
        assert made.shape == scan.shape
        assert np.array_equal(made.affine, scan.affine)
    seen, anomaly = load(predict.out / "tilted_seen.nii.gz") > 0, load(predict.out / "tilted_anomaly.nii.gz")
    assert (seen & (load(tilted) > 0)).sum() > 0.95 * (load(tilted) > 0).sum()
    assert anomaly[seen].any()
    assert not anomaly[load(tilted) == 0].any()


def test_what_was_done_is_stored_and_asked_for_again(predict, tilted):
    predict(*QUICK)
    stored = info(predict.out, "tilted")
    assert stored["prepare"]["options"]["register"] == "none"
    assert predict(*QUICK)[1].startswith("1 done before")
    assert "kept tilted: made with other prepare;" in predict()[1]


def test_twin_is_the_scan_where_nothing_was_looked_at(predict, tilted):
    predict(*QUICK)
    scan, twin = load(tilted), load(predict.out / "tilted_twin.nii.gz")
    assert np.array_equal(scan[scan == 0], twin[scan == 0])


def test_scan_that_cannot_be_prepared_fails_alone(predict, cohort, tilted):
    write(cohort / "time.nii.gz", np.stack([brain(1)] * 3, -1))
    code, told = predict(*QUICK)
    assert (code, "expected a 3-D scan, found a 4-D file of 3 volumes" in told) == (1, True)
    assert table(predict.out)["tilted"]["status"] == "ok"


def test_region_lies_on_another_grid_and_is_refused(predict, cohort, tilted):
    write(cohort / "tilted_region.nii.gz", np.uint8(np.zeros((30, 32, 20))))
    assert "expected no region with --prepare" in predict(*QUICK, "--region", "_region")[1]


def test_small_scan_is_too_small_to_prepare(predict):
    assert inside().shape == SHAPE
    assert AFFINE[2, 2] == 3
    assert "expected at least 16 voxels along each axis" in predict(*QUICK)[1]
