"""Visits of one head whose every point is known, with detections at known places."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from diffad.data.volume import Volume
from diffad.follow_up.visit import FollowUpVisit, number_detections
from diffad.inference.lesions import find_lesions
from tests.helpers.heads import CENTRE, affine_of, brain_at, scan_at, world

PLACE, OTHER = CENTRE + np.array([20, 25, 10]), CENTRE + np.array([-25, -20, 15])
"""Two places in the brain, in mm."""


def bring(points, motion):
    """Return where a motion brings points (..., 3)."""
    return points @ motion[:3, :3].T + motion[:3, 3]


def make_visit(
    balls=(), motion=None, name="visit", spacing=3.0, gain=1.0, seen=None, shape=(64, 72, 56), number=1
):
    """Return a visit of the head, whose world the motion takes from that of the head.

    Balls are detections: (centre in mm of the head, radius in mm).
    """
    motion = np.eye(4) if motion is None else motion
    affine = affine_of((spacing,) * 3, shape=shape)
    points = bring(world(shape, affine), np.linalg.inv(motion))
    brain = brain_at(points)
    radii = [np.linalg.norm(points - centre, axis=-1) <= radius for centre, radius in balls]
    mask = np.any([np.zeros(shape, bool), *radii], axis=0)
    data = gain * np.where(brain, scan_at(points, lesion=False) + 8 * np.sin(points / 9).sum(-1), 0)
    volume = Volume((data + 80 * gain * mask)[None], affine)
    anomaly = (brain * 0.5 + 5.0 * mask).astype(np.float32)
    lesions = find_lesions(mask, anomaly, volume)
    analysed = brain if seen is None else brain & (points[..., 2] < seen)
    labels = number_detections(mask, lesions, volume)
    info = {
        "threshold": 2.0,
        "request": {"model": "m", "seed": 0},
        "domain": {"status": "inside", "reasons": []},
    }
    images = (brain, analysed, anomaly, labels)
    return FollowUpVisit(Path(f"{name}_T1w.nii.gz"), volume, *images, lesions, info, number)


def renumber(visit, shift):
    """Return a visit whose detections have other numbers."""
    labels = np.where(visit.labels > 0, visit.labels + shift, 0)
    lesions = [replace(lesion, number=lesion.number + shift) for lesion in visit.lesions]
    return replace(visit, labels=labels, lesions=lesions)
