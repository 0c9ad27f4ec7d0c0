"""Rigid motions between the worlds of two visits: their halves, their means, their sizes."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from diffad.data.volume import Array


def make_motion(turn: Array, shift: Array, centre: Array) -> Array:
    """Return a rigid motion, (4, 4).

    Args:
        turn: Axis of the rotation times its angle, (3,), in radians.
        shift: Where the centre is moved to, less the centre, (3,), in mm.
        centre: Point about which it turns, (3,), in mm.
    """
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    motion[:3, 3] = centre + shift - motion[:3, :3] @ centre
    return motion


def halve_motion(motion: Array) -> Array:
    r"""Return the rigid motion that is done twice, (4, 4).

    .. math:: H H = M, \quad R_H = R^{1/2}, \quad (I + R_H) t_H = t

    The half of the inverse is the inverse of the half, so that two visits are treated alike.

    Args:
        motion: A rigid motion :math:`M`, (4, 4), of less than half a turn.
    """
    half = np.eye(4)
    half[:3, :3] = Rotation.from_rotvec(Rotation.from_matrix(motion[:3, :3]).as_rotvec() / 2).as_matrix()
    half[:3, 3] = np.linalg.solve(np.eye(3) + half[:3, :3], motion[:3, 3])
    return half


def average_motions(first: Array, second: Array) -> Array:
    r"""Return the motion halfway between two, :math:`M_1 (M_1^{-1} M_2)^{1/2}`, (4, 4)."""
    mean: Array = first @ halve_motion(np.linalg.inv(first) @ second)
    return mean


def measure_motion_distance(first: Array, second: Array, points: Array) -> float:
    """Return the largest distance between where two motions take points (N, 3), in mm."""
    ones = np.c_[points, np.ones(len(points))]
    return float(np.linalg.norm((ones @ (first - second).T)[:, :3], axis=1).max())


def measure_turn(motion: Array) -> float:
    """Return by how many degrees a motion turns."""
    return float(np.degrees(Rotation.from_matrix(motion[:3, :3]).magnitude()))
