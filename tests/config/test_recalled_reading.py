"""How a scan was read when its maps were made, as its record says."""

import sys

import pytest

from diffad.config.reading import ReadOptions, recall_options


@pytest.mark.parametrize("trust", ["sform", "qform"])
def test_orientation_that_was_trusted_is_trusted_again(trust):
    assert recall_options({"request": {"trust": trust}}) == ReadOptions(trust, sys.maxsize)


@pytest.mark.parametrize("info", [{}, {"request": None}, {"request": []}, {"request": {"trust": "stranger"}}])
def test_record_that_says_nothing_usable_leaves_the_usual_reading(info):
    assert recall_options(info) == ReadOptions(None, sys.maxsize)
