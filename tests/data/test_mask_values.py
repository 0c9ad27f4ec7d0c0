"""A mask that is no plain mask is taken by a rule that is said, or by the caller's own limit."""

import numpy as np
import pytest

from diffad.data.mask_values import cut_mask
from diffad.data.masks import resolve_mask
from diffad.data.volume import Volume, VolumeError
from tests.helpers.cohorts import brain, inside, write

SCAN = Volume(brain()[None], np.diag([2.0, 2, 3, 1]))


@pytest.mark.parametrize("values", [inside(), inside().astype(np.uint8), 255 * inside().astype(np.int16)])
def test_plain_masks_need_no_word(values):
    mask, warnings = cut_mask(values, None, "m")
    np.testing.assert_array_equal(mask, inside())
    assert warnings == []


@pytest.mark.parametrize(
    ("values", "said", "inner"),
    [
        (np.linspace(0, 1, 11), "as probabilities; what is above 0.5 counts", 5),
        (np.array([0, 1, 2, 3, 0]), "several labels: 2, 3; all above 0", 3),
        (np.array([0, 1.5, 2.5, 0]), "values that are no labels: 1.5, 2.5", 2),
        (np.array([0, 1 / 255, 0]), "values that are no labels: 0.00392157", 1),
        (np.array([-1, 0, 1]), "values that are no labels: -1", 1),
        (np.ones(4), "covers the whole field", 4),
        (np.array([10, 10.5, 10]), "covers the whole field", 3),
    ],
)
def test_other_masks_are_said_by_name(values, said, inner):
    mask, warnings = cut_mask(values, None, "m.nii")
    assert int(mask.sum()) == inner
    assert all(warning.startswith("m.nii: the brain mask") for warning in warnings)
    assert any(said in warning for warning in warnings)


def test_callers_limit_comes_first():
    mask, warnings = cut_mask(np.array([0, 0.2, 0.4, 1]), 0.3, "m")
    assert (mask.tolist(), warnings) == ([False, False, True, True], [])
    with pytest.raises(ValueError, match="mask_threshold: expected a finite number, got nan"):
        cut_mask(np.ones(3), float("nan"), "m")


def test_limit_above_all_values_is_an_error_with_both(tmp_path):
    path = write(tmp_path / "m.nii", inside().astype(np.uint8), SCAN.affine)
    with pytest.raises(VolumeError, match="above the mask threshold of 3, found values from 0 to 1"):
        resolve_mask(path, SCAN, 3)
