"""Halves and means of motions, whichever visit comes first."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from diffad.follow_up.rigid import (
    average_motions,
    halve_motion,
    make_motion,
    measure_motion_distance,
    measure_turn,
)

small = st.floats(-1.2, 1.2, allow_subnormal=False)
far = st.floats(-80, 80, allow_subnormal=False)
motions = st.builds(
    lambda turn, shift, centre: make_motion(np.array(turn), np.array(shift), np.array(centre)),
    st.tuples(small, small, small),
    st.tuples(far, far, far),
    st.tuples(far, far, far),
)


@given(motions)
def test_half_of_a_motion_done_twice_is_the_motion(motion):
    half = halve_motion(motion)
    np.testing.assert_allclose(half @ half, motion, atol=1e-6)
    np.testing.assert_allclose(half[:3, :3] @ half[:3, :3].T, np.eye(3), atol=1e-9)


@given(motions)
def test_half_of_the_inverse_is_the_inverse_of_the_half(motion):
    inverse = np.linalg.inv(motion)
    np.testing.assert_allclose(halve_motion(inverse), np.linalg.inv(halve_motion(motion)), atol=1e-5)


@given(motions, motions)
def test_mean_of_there_and_back_is_its_own_inverse(there, step):
    error = make_motion(np.array([0.02, -0.01, 0.03]), np.array([0.5, -0.3, 0.2]), step[:3, 3])
    back = np.linalg.inv(there) @ error
    mean = average_motions(there, np.linalg.inv(back))
    swapped = average_motions(back, np.linalg.inv(there))
    np.testing.assert_allclose(swapped, np.linalg.inv(mean), atol=1e-4)


def test_motion_keeps_its_centre_but_for_the_shift():
    centre = np.array([10.0, -20.0, 30.0])
    motion = make_motion(np.radians([0, 0, 90]), np.array([1.0, 2.0, 3.0]), centre)
    np.testing.assert_allclose((motion @ [*centre, 1])[:3], centre + np.arange(1, 4))
    assert abs(measure_turn(motion) - 90) < 1e-9
    assert abs(measure_motion_distance(motion, np.eye(4), centre[None]) - np.sqrt(14)) < 1e-9
