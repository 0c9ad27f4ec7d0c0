"""What does not look like a brain alone is said so."""

import numpy as np
import pytest

from diffad.data.head import head_warning
from tests.helpers.cohorts import inside


def test_brain_alone_raises_no_warning():
    assert head_warning(inside(), 0.012) is None


def test_brain_in_a_tight_box_raises_no_warning():
    whole = inside((60, 70, 60))
    i, j, k = np.where(whole)
    box = whole[i.min() : i.max() + 1, j.min() : j.max() + 1, k.min() : k.max() + 1]
    assert head_warning(box, 0.001) is None


@pytest.mark.parametrize(
    ("field", "ml"),
    [
        (np.ones((9, 9, 9), bool), 0.001),
        (np.pad(np.ones((9, 5, 5), bool), [(0, 0), (0, 2), (0, 2)]), 0.001),
        (inside(), 3.0),
    ],
    ids=["fills the field", "cut by several sides", "too large"],
)
def test_head_in_air_is_warned_about(field, ml):
    assert "--mask" in head_warning(field, ml)
