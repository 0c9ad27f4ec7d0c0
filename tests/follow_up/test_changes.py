"""What is said of findings: beyond the noise of re-scans or not, and the opposite with the visits swapped."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffad.follow_up.alignment import Alignment
from diffad.follow_up.comparison import compare_images
from diffad.follow_up.judgement import judge_finding
from diffad.follow_up.noise import RescanNoise
from diffad.follow_up.noise_bins import Finding, NoiseBin
from diffad.follow_up.page import render_comparison
from diffad.follow_up.rigid import make_motion
from diffad.follow_up.sheet import draw_planes
from diffad.follow_up.tiles import COLOURS, WIDTHS, ComparisonTiles
from tests.helpers.heads import CENTRE
from tests.helpers.visits import OTHER, PLACE, make_visit, renumber

NOISE = RescanNoise(
    (NoiseBin(0.0, 1.0, 50, math.log(3), 100, 40), NoiseBin(1.0, math.inf, 50, math.log(1.25), 100, 3)),
    lone_limit=2.5,
    lone_count=43,
    source="test",
)
OPPOSITE = {"new": "gone", "gone": "new", "grown": "shrunk", "shrunk": "grown"}
MOTION = make_motion(np.radians([4.0, -3.0, 6.0]), np.array([3.0, -2.0, 4.0]), CENTRE)
volumes = st.one_of(st.just(0.0), st.floats(0.01, 50, allow_subnormal=False))


def compare(first, second, motion=MOTION, noise=NOISE):
    alignment = Alignment(motion, 0.0, 0.0, 0.0, 1.0, 1.0)
    return compare_images((first, second), alignment, noise, 2.0)


@pytest.mark.parametrize(
    ("pair", "map_change", "status", "beyond"),
    [
        ((4.0, 4.8), 9.0, "stable", False),
        ((4.0, 5.2), 0.1, "grown", True),
        ((5.2, 4.0), -0.1, "shrunk", True),
        ((0.3, 0.6), 9.0, "stable", False),
        ((0.1, 0.5), 1.0, "grown", True),
        ((0.0, 4.0), 2.6, "new", True),
        ((4.0, 0.0), -2.6, "gone", True),
        ((0.0, 4.0), 2.4, "new", False),
        ((2.0, 2.0), 0.0, "stable", False),
    ],
)
def test_changes_within_what_rescans_give_are_no_changes(pair, map_change, status, beyond):
    judgement = judge_finding(Finding(pair, map_change), NOISE)
    assert (judgement.status, judgement.beyond_noise) == (status, beyond)


def test_percent_of_noise_is_that_of_growth():
    judgement = judge_finding(Finding((4.0, 4.8), 0.0), NOISE)
    figures = (judgement.noise_percent, judgement.noise_lost, judgement.noise_map_change)
    assert figures == (25.0, 0.03, 2.5)


def test_without_known_noise_nothing_is_called_grown():
    assert judge_finding(Finding((1.0, 30.0), 9.0), None).status == "not judged"
    assert judge_finding(Finding((0.0, 30.0), 9.0), None).status == "new"
    assert judge_finding(Finding((0.0, 30.0), 9.0), None).beyond_noise is None
    assert judge_finding(Finding((3.0, 3.0), 9.0), None).status == "stable"


@given(volumes, volumes, st.floats(-9, 9, allow_subnormal=False))
def test_swapped_volumes_have_the_opposite_status(a, b, change):
    if a or b:
        there = judge_finding(Finding((a, b), change), NOISE)
        back = judge_finding(Finding((b, a), -change), NOISE)
        assert back.status == OPPOSITE.get(there.status, there.status)
        assert back.beyond_noise == there.beyond_noise


def test_known_changes_are_found_with_their_volumes_and_places():
    first = make_visit([(PLACE, 7.0)], spacing=3.0)
    second = make_visit([(PLACE, 11.0), (OTHER, 9.0)], MOTION, spacing=2.0, shape=(96, 108, 84), gain=1.5)
    comparison = compare(first, second)
    grown, new = comparison.changes
    assert (grown.status, new.status) == ("grown", "new")
    ball = 4 / 3 * math.pi / 1000
    assert grown.first_ml == pytest.approx(ball * 7**3, rel=0.15)
    assert grown.second_ml == pytest.approx(ball * 11**3, rel=0.1)
    assert grown.change_ml == pytest.approx(grown.second_ml - grown.first_ml, abs=1e-5)
    np.testing.assert_allclose(grown.first_centre_mm, PLACE, atol=1.5)
    np.testing.assert_allclose(new.second_centre_mm, (MOTION @ [*OTHER, 1])[:3], atol=1.5)
    assert new.second_peak > 2.0 > new.first_peak
    assert new.map_change == pytest.approx(5.0, abs=1.0)
    assert comparison.fit.slope == pytest.approx(1.5, rel=0.05)


def test_swapping_the_visits_turns_everything_round():
    balls = ([(PLACE, 7.0)], [(PLACE, 11.0), (OTHER, 9.0)])
    first, second = make_visit(balls[0]), make_visit(balls[1], MOTION)
    there, back = compare(first, second), compare(second, first, np.linalg.inv(MOTION))
    assert {c.status for c in there.changes} == {"grown", "new"}
    assert {c.status for c in back.changes} == {"shrunk", "gone"}
    for a, b in zip(there.changes, back.changes, strict=True):
        assert (a.first_ml, a.second_ml, a.change_ml) == (b.second_ml, b.first_ml, -b.change_ml)
        assert a.map_change == pytest.approx(-b.map_change, abs=1e-3)
        np.testing.assert_allclose(a.centre_mm, b.centre_mm, atol=0.02)
    np.testing.assert_allclose(there.map_change, -back.map_change, atol=1e-3)
    np.testing.assert_allclose(there.images[0]["scan"], back.images[1]["scan"], atol=0.05)


def test_identical_visits_are_stable():
    visit = make_visit([(PLACE, 7.0), (OTHER, 9.0)])
    comparison = compare(visit, visit, np.eye(4), None)
    assert [c.status for c in comparison.changes] == ["stable", "stable"]
    assert not comparison.map_change.any()
    np.testing.assert_allclose(comparison.subtraction, 0, atol=1e-3)


def test_numbers_of_detections_make_no_difference():
    first, second = make_visit([(PLACE, 7.0)]), make_visit([(PLACE, 11.0), (OTHER, 9.0)], MOTION)
    plain, other = compare(first, second).changes, compare(first, renumber(second, 40)).changes
    keys = ("status", "first_ml", "second_ml", "centre_mm", "second_peak")
    assert [[getattr(c, k) for k in keys] for c in plain] == [[getattr(c, k) for k in keys] for c in other]
    assert other[0].second_detections[0] > 40


def test_what_the_other_visit_did_not_look_at_is_not_new():
    first = make_visit([], seen=OTHER[2] - 20)
    (change,) = compare(first, make_visit([(OTHER, 9.0)], MOTION)).changes
    assert (change.status, change.beyond_noise) == ("not analysed", None)


def test_split_has_one_row_with_the_sum_of_both_parts():
    step = np.array([0.0, 7.0, 0.0])
    near = PLACE + 2 * step
    first = make_visit([(PLACE, 6.0), (near, 6.0), (PLACE + step, 4.0)])
    second = make_visit([(PLACE, 6.0), (near, 6.0)], MOTION)
    (change,) = compare(first, second).changes
    assert change.kind == "split"
    assert change.second_detections == (1, 2)
    assert change.second_ml == pytest.approx(sum(lesion.volume_ml for lesion in second.lesions))


def test_what_the_end_of_a_field_of_view_cuts_off_has_not_shrunk():
    first, second = make_visit([(PLACE, 12.0)]), make_visit([(PLACE, 12.0)], seen=PLACE[2] - 2)
    labels = np.where(second.analysed, second.labels, 0)
    cut = replace(second, labels=labels)
    (change,) = compare(first, cut, np.eye(4)).changes
    assert (change.first_detections, change.second_detections) == ((1,), (1,))
    assert (change.status, change.beyond_noise) == ("not analysed", None)
    (whole,) = compare(first, replace(second, analysed=second.brain), np.eye(4)).changes
    assert whole.status == "stable"


@pytest.mark.parametrize("balls", [[], [(PLACE, 9.0)]])
def test_visits_without_detections_are_drawn_and_said(balls):
    comparison = compare(make_visit(), make_visit(balls, MOTION))
    assert comparison.headline == (
        "1 new; 1 of them beyond what re-scanning gives" if balls else "no detection at either visit"
    )
    page = render_comparison(comparison, draw_planes(comparison), {}, {})
    assert ("Nothing was detected at either visit" in page) is not bool(balls)


def test_outlines_are_thick_where_a_change_is_beyond_noise():
    first, second = make_visit([(PLACE, 9.0)]), make_visit([(PLACE, 9.0), (OTHER, 9.0)], MOTION)
    comparison = compare(first, second)
    outlines = ComparisonTiles(comparison).outlines
    kinds = {(o.visit, o.colour, o.width) for o in outlines}
    stable, new = COLOURS["stable"], COLOURS["new"]
    assert kinds == {(0, stable, WIDTHS[False]), (1, stable, WIDTHS[False]), (1, new, WIDTHS[True])}
    (drawn,) = [o.mask for o in outlines if o.colour == new]
    assert drawn.sum() == (comparison.images[1]["labels"] == comparison.changes[0].second_detections[0]).sum()


def test_visits_without_common_brain_name_both_files():
    far = make_motion(np.zeros(3), np.array([300.0, 0, 0]), CENTRE)
    with pytest.raises(ValueError, match=r"a_T1w\.nii\.gz and b_T1w\.nii\.gz: expected 100 voxels"):
        compare(make_visit(name="a"), make_visit(name="b"), far)
