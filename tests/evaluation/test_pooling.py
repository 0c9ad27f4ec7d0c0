"""One score of many, by hand."""

import numpy as np
import pytest

from diffad.evaluation import pool


@pytest.mark.parametrize(
    ("how", "value"), [("mean", 4.5), ("max", 9), ("std", 8.25**0.5), ("percentile", 8.82), ("topk", 8.5)]
)
def test_pooling_of_ten_numbers(how, value):
    assert pool(np.arange(10), how, share=0.2) == pytest.approx(value)


def test_options_out_of_range_are_refused():
    for values, options, message in (
        ([], {}, "at least one score"),
        ([1.0], {"how": "topk", "share": 0.0}, "share"),
        ([1.0], {"how": "topk", "share": 1.5}, "share"),
        ([1.0], {"how": "percentile", "q": -1.0}, "q in"),
        ([1.0], {"how": "percentile", "q": 101.0}, "q in"),
        ([1.0], {"how": "median"}, "median"),
    ):
        with pytest.raises((ValueError, KeyError), match=message):
            pool(values, **options)


def test_lowest_and_highest_percentile_are_the_ends():
    values = np.random.default_rng(0).permutation(np.arange(10.0))
    assert [pool(values, "percentile", q=q) for q in (0.0, 100.0)] == [0, 9]


def test_single_score_pools_to_itself_or_to_no_spread():
    assert [pool([0.25], how) for how in ("mean", "max", "percentile", "topk")] == [0.25] * 4
    assert pool([0.25], "std") == 0
