"""Sizes of detections and scan-level p-values from whole healthy scans."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.threshold import Calibration
from diffad.threshold.clusters import TABLES, ClusterSizes, find_limit
from diffad.threshold.describe import describe_whole_scans
from diffad.threshold.whole_scans import STATISTICS, SiteRates, WholeScans

HEADS = [[5.0, 4.0, 3.0, 2.0, 1.0], [9.0], [], [8.0, 7.0, 6.0, 5.0]]


def make_whole(scores=(1.0, 2.0, 4.0)):
    sites = {"a": SiteRates(2, {0.01: 0.02}, {0.01: 0.01})}
    return WholeScans(ClusterSizes.of({0.01: HEADS}), dict.fromkeys(STATISTICS, tuple(scores)), sites)


def test_limits_are_those_of_the_largest_and_of_the_largest_but_three():
    sizes = ClusterSizes.of({0.01: HEADS})
    assert sizes.clean == {0.01: 9.0}
    assert sizes.few == {0.01: 5.0}
    assert sizes.left_out_clean == {0.01: 0.25}
    assert sizes.limit("few", 0.01) == 5.0
    assert sizes.limit("clean", 0.01) == 9.0
    assert sizes.limit("none", 0.01) == sizes.limit("few", 0.02) == 0.0


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_few_of_the_heads_lie_above_their_limit(values):
    limit = find_limit(values)
    n = len(values)
    assert sum(v > limit for v in values) <= max(0, n - math.ceil((n + 1) * 0.95 - 1e-9))
    assert limit in values


def test_quantile_of_forty_heads_leaves_one_above():
    assert find_limit([float(v) for v in range(1, 41)]) == 39.0
    assert find_limit([float(v) for v in range(1, 19)]) == 18.0


def test_p_values_differ_between_scans_and_never_fall_below_the_floor():
    whole = make_whole()
    rows = [whole.compare(dict.fromkeys(STATISTICS, value)) for value in (0.5, 1.5, 2.0, 3.0, 9.0)]
    assert [row["p_value"] for row in rows] == [1.0, 0.75, 0.75, 0.5, 0.25]
    assert rows[-1]["floor"] == 0.25
    assert rows[-1]["scans"] == 3
    assert rows[-1]["by"]["max"] == {"value": 9.0, "p_value": 0.25, "times": 4.5}


def test_slices_of_scans_give_no_p_value():
    whole = WholeScans(ClusterSizes.of({0.01: HEADS}))
    assert whole.compare(dict.fromkeys(STATISTICS, 1.0)) is None


def test_everything_survives_json():
    whole = make_whole()
    calibration = Calibration({0.01: 0.5}, 3, 100, whole=whole)
    values = json.loads(json.dumps(calibration.to_dict()))
    assert Calibration.from_dict(values).whole == whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clusters": {}}, "expected cluster sizes with"),
        ({"scores": {"topk": [1.0]}}, "expected numbers of whole scans"),
        ({"scores": {key: [2.0, 1.0] for key in STATISTICS}}, "expected finite scores in order"),
        ({"sites": {"a": 3}}, "expected numbers of whole scans"),
        ({"clusters": {key: {"0.01": -1.0} for key in TABLES}}, "expected volumes from 0"),
        ({"more": 1}, "expected clusters, scores and sites"),
    ],
)
def test_odd_tables_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        WholeScans.from_dict({**make_whole().to_dict(), **change})


def test_no_head_at_all_is_an_error():
    with pytest.raises(ValueError, match="at least one healthy head"):
        ClusterSizes.of({0.01: []})


def test_words_name_volumes_the_floor_and_sites():
    text = "\n".join(describe_whole_scans(make_whole()))
    assert "at most 3 (or no) detections" in text
    assert "none is below 0.250" in text
    assert "site a, 2 scans: FPR 0.01 is 0.0100 (with thresholds of the other sites 0.0200)" in text
