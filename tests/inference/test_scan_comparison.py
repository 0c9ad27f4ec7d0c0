"""One scan among whole healthy ones, where the rate of the masks changed since these were measured."""

import json
from dataclasses import replace

import pytest
import torch

from diffad.config import PostprocessConfig, to_dict
from diffad.inference.thresholding import compare_scan
from diffad.models.pretrained import list_shipped_models
from diffad.threshold import Calibration
from diffad.threshold.clusters import ClusterSizes
from diffad.threshold.whole_scans import STATISTICS, WholeScans

HEALTHY = {"topk": (1.0, 2.0, 3.0), "max": (4.0, 5.0, 6.0), "flagged": (0.001, 0.01, 0.02)}
ANALYSED = torch.ones(1, 1, 10, 10, 10)
SCAN = torch.linspace(0, 10, 1000).reshape(1, 1, 10, 10, 10)
SHARES = {0.01: 0.005, 0.05: 0.3}
THRESHOLDS = {0.01: 9.95, 0.05: 7.0}
"""Half a percent of the scan lies above the first of them, and 30 % above the second."""


def compare(stored_rate, mask_rate, thresholds=THRESHOLDS):
    whole = WholeScans(ClusterSizes.of({0.01: [[1.0]]}), HEALTHY, fpr=stored_rate)
    calibration = Calibration(thresholds, 3, 3000, whole=whole).to_dict()
    values = json.loads(json.dumps(calibration))
    post = to_dict(PostprocessConfig(fpr=mask_rate))
    return compare_scan(values, SCAN, ANALYSED, post)["healthy_scans"]


@pytest.mark.parametrize("mask_rate", [0.01, 0.05])
def test_flagged_share_is_that_above_the_threshold_of_healthy_scans(mask_rate):
    row = compare(0.01, mask_rate)["by"]["flagged"]
    assert row["value"] == pytest.approx(SHARES[0.01])
    assert row["p_value"] == 0.75


def test_older_models_take_the_rate_of_the_masks():
    assert compare(None, 0.05)["by"]["flagged"]["value"] == pytest.approx(SHARES[0.05])


def test_share_without_its_threshold_is_left_out_and_said():
    comparison = compare(0.01, 0.05, {0.05: 7.0})
    assert set(comparison["by"]) == {"topk", "max"}
    (note,) = comparison["notes"]
    assert "measured at a false-positive rate of 1 %, and the model keeps no threshold of that rate" in note
    assert "notes" not in compare(0.01, 0.05)


def test_rate_survives_json_and_must_be_one():
    whole = WholeScans(ClusterSizes.of({0.01: [[1.0]]}), HEALTHY, fpr=0.01)
    assert WholeScans.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole
    assert "fpr" not in replace(whole, fpr=None).to_dict()
    with pytest.raises(ValueError, match="rate"):
        replace(whole, fpr=1.5)


def test_shipped_models_without_the_rate_still_load():
    records = []
    for folder in list_shipped_models().values():
        settings = json.loads((folder / "model_index.json").read_text())
        parts = [settings, *(settings.get("contrasts") or {}).values()]
        records += [Calibration.from_dict(p["calibration"]) for p in parts if p.get("calibration")]
    whole = [record.whole for record in records if record.whole]
    assert whole
    assert all(set(w.scores) == set(STATISTICS) for w in whole)
