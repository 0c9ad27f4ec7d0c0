"""What a model finds of which size, pooled over kinds."""

from diffad.threshold.detection_rates import (
    NO_RATES,
    choose_rates,
    describe_detection_rates,
    describe_silence,
    pool_detection_rates,
    store_detection_rates,
)
from diffad.threshold.sensitivity import Sensitivity


def row(kind, low, high, rate, lesions, share):
    return Sensitivity(kind, low, high, rate, lesions, share, share / 2)


ROWS = [
    row("dark", 1.0, 5.0, 0.01, 3, 1.0),
    row("bright", 1.0, 5.0, 0.01, 1, 0.0),
    row("dark", 1.0, 5.0, 0.001, 4, 0.25),
    row("dark", 5.0, None, 0.01, 2, 1.0),
    row("glioma", 5.0, None, 0.01, 1, 0.0),
    row("dark", 5.0, None, 0.1, 2, 1.0),
]


def test_kinds_are_pooled_by_number_and_real_lesions_stay_apart():
    rates = pool_detection_rates(ROWS)
    pooled = next(r for r in rates if (r.origin, r.low_ml, r.rate) == ("implanted", 1.0, 0.01))
    assert (pooled.lesions, pooled.lesion_share, pooled.voxel_share) == (4, 0.75, 0.375)
    assert [r.origin for r in rates].count("real") == 1
    assert rates[0].low_ml == 5.0
    assert choose_rates(rates) == [0.01, 0.001]
    assert choose_rates([r for r in rates if r.rate == 0.1]) == [0.1]


def test_table_has_a_row_for_each_size():
    lines = describe_detection_rates(pool_detection_rates(ROWS), 0.01)
    assert "| implanted | 1 to 5 ml | 4 | 75% (38%) | 25% (12%) |" in lines
    assert "| real | above 5 ml | 1 | 0% (0%) |  |" in lines
    assert describe_detection_rates([], 0.01) == [NO_RATES]


def test_detector_that_finds_nothing_at_its_threshold_says_so():
    silent = pool_detection_rates([row("dark", 5.0, None, 0.01, 40, 0.025)])
    assert "silent at its threshold: it finds 2% of 40 lesions" in describe_silence(silent, 0.01)
    assert describe_silence(pool_detection_rates(ROWS), 0.01) == ""
    assert describe_silence(silent, 0.001) == ""


def test_results_keep_the_pooled_table_alone():
    stored = store_detection_rates({"sensitivity": [r.to_dict() for r in ROWS]})
    assert len(stored) == len(pool_detection_rates(ROWS))
    assert store_detection_rates(None) == []
