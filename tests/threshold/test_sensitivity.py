"""What thresholds find of known lesions."""

import pytest
import torch

from diffad.threshold import Calibration
from diffad.threshold.sensitivity import (
    LesionSample,
    Sensitivity,
    describe_sensitivity,
    measure_sensitivity,
)


def make_sample():
    """A large lesion that is half above .5, and a small one that is all above it."""
    lesions, anomaly = torch.zeros(20, 20, 20, dtype=torch.bool), torch.zeros(20, 20, 20)
    lesions[2:12, 2:12, 2:6], anomaly[2:7, 2:12, 2:6] = True, 1.0
    lesions[15:18, 15:18, 15:18], anomaly[15:18, 15:18, 15:18] = True, 1.0
    return LesionSample("dark", lesions, anomaly, 1.0)


def test_lesions_and_voxels_are_counted_by_size():
    small, large = measure_sensitivity([make_sample()], {0.01: 0.5}, {})
    assert (small.low_ml, small.high_ml, large.low_ml, large.high_ml) == (0.0, 0.2, 0.2, 1.0)
    assert (small.lesions, small.lesion_share, small.voxel_share) == (1, 1.0, 1.0)
    assert (large.lesions, large.lesion_share, large.voxel_share) == (1, 1.0, 0.5)


def test_detections_that_are_dropped_detect_nothing():
    small, large = measure_sensitivity([make_sample()], {0.01: 0.5}, {0.01: 27.0})
    assert (small.lesion_share, small.voxel_share, large.lesion_share) == (0.0, 1.0, 1.0)


def test_higher_thresholds_find_no_more():
    sample = make_sample()
    noisy = LesionSample("dark", sample.lesions, sample.anomaly * torch.rand(20, 20, 20), 1.0)
    rows = measure_sensitivity([noisy], {0.1: 0.2, 0.01: 0.6}, {})
    by_rate = {rate: [r.voxel_share for r in rows if r.rate == rate] for rate in (0.1, 0.01)}
    assert all(low >= high for low, high in zip(by_rate[0.1], by_rate[0.01], strict=True))


def test_table_is_markdown_and_survives_with_the_calibration():
    rows = tuple(measure_sensitivity([make_sample()], {0.01: 0.5}, {}))
    lines = describe_sensitivity(rows)
    assert lines[0] == "| kind | ml | lesions | FPR 0.01: lesions / voxels |"
    assert lines[3] == "| dark | 0.2 to 1 | 1 | 1.00 / 0.50 |"
    calibration = Calibration({0.01: 0.5}, 1, 1, sensitivity=rows)
    assert Calibration.from_dict(calibration.to_dict()) == calibration


@pytest.mark.parametrize("change", [{"voxel_share": 2.0}, {"kind": "dark", "more": 1}, {"rate": None}])
def test_odd_rows_are_refused(change):
    values = Sensitivity("dark", 0.0, 0.2, 0.01, 1, 1.0, 0.5).to_dict()
    with pytest.raises(ValueError, match="expected a row of sensitivity"):
        Sensitivity.from_dict({**values, **change})
