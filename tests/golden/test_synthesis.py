"""Facts that the published generator of contrasts states, and what tissue physics says of ours."""

import math
from itertools import pairwise

import pytest
import torch

from diffad.data.synthesis.contrast import CONTRASTS, draw_palette
from diffad.data.synthesis.tissues import FREESURFER, MUSE, PLAIN, TISSUES
from diffad.types import generator_for

DRAWS = 600


def draw(contrast):
    """Return the means of all tissues in many draws, by name."""
    means = torch.stack([CONTRASTS[contrast](generator_for(1, k)).means for k in range(DRAWS)])
    return dict(zip(TISSUES, means.T, strict=True))


def share(condition):
    return float(condition.float().mean())


@pytest.fixture(scope="module")
def t1():
    return draw("t1")


@pytest.mark.parametrize(
    ("bright", "dark", "chance"),
    [
        ("white", "cortex", 0.995),
        ("cortex", "csf", 0.999),
        ("thalamus", "cortex", 0.94),
        ("white", "thalamus", 0.86),
    ],
)
def test_t1_prior_orders_tissues_as_often_as_that_of_synthseg(t1, bright, dark, chance):
    """Four standard errors of the share."""
    limit = 4 * math.sqrt(chance * (1 - chance) / DRAWS) + 1 / DRAWS
    assert share(t1[bright] > t1[dark]) == pytest.approx(chance, abs=limit)


def test_t1_prior_has_the_published_ratios(t1):
    assert float((t1["cortex"] / t1["white"]).median()) == pytest.approx(96.3 / 160.3, abs=0.02)
    assert float((t1["csf"] / t1["white"]).median()) == pytest.approx(44.4 / 160.3, abs=0.02)


def test_random_contrast_favours_no_tissue():
    means = draw("random")
    assert share(means["white"] > means["cortex"]) == pytest.approx(0.5, abs=0.09)
    assert share(means["cortex"] > means["csf"]) == pytest.approx(0.5, abs=0.09)


@pytest.mark.parametrize(
    ("contrast", "order"),
    [
        ("t2", ("white", "cortex", "csf")),
        ("flair", ("csf", "white", "cortex")),
        ("ct", ("csf", "white", "cortex")),
    ],
)
def test_tissues_come_in_the_order_that_every_scan_shows(contrast, order):
    means = draw(contrast)
    assert all(share(means[dark] < means[bright]) > 0.97 for dark, bright in pairwise(order))


def test_iron_darkens_the_pallidum_on_t2():
    means = draw("t2")
    assert share(means["pallidum"] < means["thalamus"]) > 0.95


def test_proton_density_shows_grey_matter_above_white():
    means = draw("pd")
    assert share(means["cortex"] > means["white"]) > 0.95


def test_white_matter_of_ct_lies_where_hospitals_see_it():
    means = draw("ct")
    assert float(means["white"].median()) == pytest.approx(29.5, abs=1)
    assert float((means["cortex"] - means["white"]).median()) == pytest.approx(9, abs=1.5)


def test_background_is_nothing_in_every_contrast():
    for name in CONTRASTS:
        palette = draw_palette({name: 1.0}, generator_for(0))
        assert palette.means[0] == palette.deviations[0] == 0
        assert (palette.deviations >= 0).all()


def test_contrasts_come_by_their_weight():
    hits = [draw_palette({"t1": 3.0, "ct": 1.0, "t2": 0.0}, generator_for(k)).ct for k in range(400)]
    assert sum(hits) / 400 == pytest.approx(0.25, abs=0.08)


def test_tables_know_the_labels_of_their_atlases_and_name_tissues_only():
    assert all(set(table.values()) <= set(TISSUES) for table in (FREESURFER, MUSE, PLAIN))
    left = (2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 17, 18, 26, 28, 25, 30, 136, 137)
    right = (41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 58, 60, 57, 62, 163, 164)
    assert all(FREESURFER[a] == FREESURFER[b] for a, b in zip(left, right, strict=True))
    assert len({label for label in MUSE if label}) >= 148
    assert FREESURFER[77] == FREESURFER[25] == FREESURFER[57] == "white"
