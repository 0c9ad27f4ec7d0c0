"""Volumes for DICOM series, whose value at each voxel says where it lies in the patient."""

import numpy as np

SHAPE = (36, 40, 24)
GRADIENT = np.array([3.0, 5.0, 7.0])
"""Change of the value per mm to the right, to the front and upwards."""


def ramp(affine, shape=SHAPE, offset=4000):
    """Return values that grow along all axes of the patient, and that a grid laid wrong would not have."""
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    places = voxels @ affine[:3, :3].T + affine[:3, 3]
    return np.round(places @ GRADIENT + offset).astype(np.int16)


def axial(signs=(-1, -1, 1), spacing=(3.0, 3.0, 4.0)):
    """Return the matrix of upright axial slices."""
    affine = np.diag([*(np.array(signs) * spacing), 1.0])
    affine[:3, 3] = -affine[:3, :3] @ (np.array(SHAPE) - 1) / 2
    return affine


def oblique(angles=(0.2, -0.15, 0.3), spacing=(3.0, 3.0, 4.0), signs=(-1, -1, 1)):
    """Return the matrix of slices that are turned about all axes."""
    x, y, z = angles
    turns = (
        [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]],
        [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]],
        [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]],
    )
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.multi_dot([np.array(turn) for turn in turns]) @ np.diag(
        np.array(signs) * np.array(spacing)
    )
    affine[:3, 3] = [10.0, -20.0, 5.0] - affine[:3, :3] @ (np.array(SHAPE) - 1) / 2
    return affine


def sagittal(spacing=(3.0, 3.0, 4.0)):
    """Return the matrix of sagittal slices: columns run back, rows down, slices to the left."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, -1], [-1, 0, 0], [0, -1, 0]]) @ np.diag(spacing)
    affine[:3, 3] = -affine[:3, :3] @ (np.array(SHAPE) - 1) / 2
    return affine


def tilted(degrees, signs=(-1, -1, 1)):
    """Return the matrix of slices of a gantry that is tilted while the table moves along the body."""
    affine, angle = axial(signs), np.radians(degrees)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine[:3, :2] = turn @ affine[:3, :2]
    return affine
