"""A head that was moved is found again, alike in both directions, and two heads are told from one."""

import numpy as np
import pytest

pytest.importorskip("SimpleITK")

from diffad.data.volume import VolumeError
from diffad.follow_up.agreement import measure_fit
from diffad.follow_up.alignment import align_visits
from diffad.follow_up.checks import REFUSED_AGREEMENT
from diffad.follow_up.rescan import rescan
from diffad.follow_up.rigid import make_motion, measure_motion_distance
from tests.helpers.heads import CENTRE
from tests.helpers.visits import make_visit

MOTION = make_motion(np.radians([5.0, -4.0, 8.0]), np.array([6.0, -3.0, 5.0]), CENTRE)
POINTS = CENTRE + 40 * np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0, -1, 0], [0, 0, -1]])


@pytest.fixture(scope="module")
def visits():
    return make_visit(), make_visit(motion=MOTION, gain=1.7)


def align(first, second):
    return align_visits(first.volume, first.brain, second.volume, second.brain)


@pytest.mark.slow
def test_moved_head_is_found_again_and_alike_in_both_directions(visits):
    there, back = align(*visits), align(*visits[::-1])
    assert measure_motion_distance(there.motion, MOTION, POINTS) < 1.0
    assert measure_motion_distance(there.motion, np.linalg.inv(back.motion), POINTS) < 0.3
    assert there.disagreement_mm < 1.0
    assert there.turn_degrees == pytest.approx(10.2, abs=0.5)
    assert there.dice > 0.97
    assert there.agreement > REFUSED_AGREEMENT


def test_fit_of_another_head_is_below_what_is_refused(visits):
    first, second = visits
    rng = np.random.default_rng(0)
    other = np.where(second.brain, rng.normal(100, 10, second.brain.shape), 0)
    second.volume.data[0], kept = other, second.volume.data[0].copy()
    try:
        _, agreement = measure_fit(first.volume, first.brain, second.volume, second.brain, MOTION)
    finally:
        second.volume.data[0] = kept
    assert agreement < REFUSED_AGREEMENT


def test_visits_that_nowhere_overlap_name_both_files(visits):
    first, _ = visits
    empty = np.zeros_like(first.brain)
    empty[:2, :2, :2] = True
    with pytest.raises(VolumeError, match="the scan and the scan: expected two visits of one person"):
        align_visits(first.volume, first.brain, make_visit(spacing=0.01).volume, empty)


def test_rescan_moves_the_head_by_a_known_motion_and_changes_noise_and_gain(visits):
    first, _ = visits
    volume, brain, motion = rescan(first.volume, first.brain, 3)
    other, _, _ = rescan(first.volume, first.brain, 4)
    again, _, _ = rescan(first.volume, first.brain, 3)
    np.testing.assert_array_equal(volume.data, again.data)
    assert not np.array_equal(volume.data, other.data)
    assert not volume.data[:, ~brain].any()
    assert (volume.data[:, brain] > 0).all()
    assert abs(brain.sum() / first.brain.sum() - 1) < 0.03
    dice, agreement = measure_fit(volume, brain, first.volume, first.brain, motion)
    assert (dice > 0.97, agreement > 0.9) == (True, True)
    still, _ = measure_fit(volume, brain, first.volume, first.brain, np.eye(4))
    assert still < dice


def test_fit_is_the_same_with_the_visits_swapped(visits):
    pairs = [(visit.volume, visit.brain) for visit in visits]
    there = measure_fit(*pairs[0], *pairs[1], MOTION)
    back = measure_fit(*pairs[1], *pairs[0], np.linalg.inv(MOTION))
    np.testing.assert_allclose(there, back, rtol=1e-6)
    assert there[0] > measure_fit(*pairs[0], *pairs[1], np.eye(4))[0]
