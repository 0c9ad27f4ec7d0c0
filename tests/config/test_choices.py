"""Words of options are written once, and what gives them a meaning knows the same ones."""

from typing import get_args

import pytest

from diffad.config import choices
from diffad.config.choices import AXES, BrainChoice, BrainMethod, Fusion, Precision, require, require_choice


def test_axes_are_counted_as_voxels_are():
    from diffad.data.slices import axis_index

    assert [axis_index(axis) for axis in AXES] == [0, 1, 2]


def test_every_fusion_and_precision_has_a_meaning():
    from diffad.inference.orientations import FUSIONS
    from diffad.inference.precision import PRECISIONS

    assert set(get_args(Fusion)) == set(FUSIONS)
    assert set(get_args(Precision)) == {"auto", *PRECISIONS}


def test_brain_is_found_by_a_method_or_by_the_one_that_suits():
    assert get_args(BrainChoice) == ("auto", *get_args(BrainMethod))


def test_value_that_does_not_fit_is_named_with_what_was_expected():
    require(True, "size", "at least 1", 0)
    with pytest.raises(ValueError, match=r"^size: expected at least 1, got 0$"):
        require(False, "size", "at least 1", 0)


def test_word_of_no_choice_is_named_with_those_there_are():
    require_choice("layout", "bids", choices.ResultLayout)
    with pytest.raises(ValueError, match=r"^layout: expected one of auto, plain, bids, got 'flat'$"):
        require_choice("layout", "flat", choices.ResultLayout)
