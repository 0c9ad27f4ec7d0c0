"""A brain that was moved by a known map must be found again, whatever grid it lies on."""

import numpy as np
import pytest
import torch

from diffad.data.volume import Volume, VolumeError
from diffad.inference.placing import describe_template_map
from diffad.prepare import PrepareOptions, prepare
from diffad.prepare.geometry import VoxelGrid, map_voxels, resample

pytestmark = pytest.mark.slow
LANDMARKS = np.array(
    [[0.0, -20, 10], [45, 20, 20], [-50, -30, 0], [20, -80, 10], [-25, 40, 25], [10, -30, 60]]
)


def motion(turn, scale, shift):
    """Return a map from template mm to scan mm: a turn in degrees about all axes, scales, a shift."""
    axes = np.eye(3)
    for axis, angle in enumerate(np.radians(turn)):
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        item = np.eye(3)
        item[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        axes = axes @ item
    matrix = np.eye(4)
    matrix[:3, :3] = axes @ np.diag(scale)
    matrix[:3, 3] = shift
    return matrix


def scanned(matrix, spacing, shear=0.0, turn=(0, 0, 0)):
    """Scan the moved template brain, bright and dark swapped, on a grid of its own."""
    from diffad.prepare.template import load_mni152

    truth = load_mni152()
    axes = motion(turn, (1, 1, 1), (0, 0, 0))[:3, :3]
    axes[:, 2] += shear * axes[:, 1]
    affine = np.eye(4)
    affine[:3, :3] = axes @ np.diag(spacing)
    shape = tuple(int(260 / s) for s in spacing)
    at = matrix[:3, :3] @ [0, -18, 10] + matrix[:3, 3]
    affine[:3, 3] = at - affine[:3, :3] @ (np.array(shape) - 1) / 2
    back = map_voxels(VoxelGrid(shape, affine), truth.grid, np.linalg.inv(matrix))
    brain = resample(truth.brain, back, shape) > 0.5
    image = resample(truth.image, back, shape)
    noise = np.random.default_rng(0).normal(0, 0.02, shape)
    return Volume(((1.3 - image + noise) * brain * 500)[None], affine), brain


def error_of(result, matrix):
    at = np.c_[LANDMARKS, np.ones(len(LANDMARKS))]
    return np.linalg.norm((at @ (result.to_native - matrix).T)[:, :3], axis=1).max()


@pytest.mark.parametrize(
    ("kind", "turn", "scale", "spacing", "shear", "limit"),
    [
        ("rigid", (12, -6, 9), (1, 1, 1), (1.2, 1.2, 1.2), 0.0, 0.5),
        ("rigid", (-20, 8, 15), (1, 1, 1), (1, 1, 5.0), 0.0, 1.0),
        ("affine", (10, 5, -12), (0.92, 0.88, 0.95), (1.5, 1.5, 1.5), 0.0, 0.5),
        ("affine", (18, -4, 6), (0.95, 0.9, 0.9), (0.9, 0.9, 5.5), 0.3, 1.0),
        ("affine", (-30, 10, 20), (1.05, 1.0, 1.1), (2, 2, 2), 0.0, 1.0),
        ("affine", (45, 0, 0), (0.95, 0.9, 0.9), (2, 2, 2), 0.0, 1.0),
    ],
)
def test_known_motion_is_found(kind, turn, scale, spacing, shear, limit):
    matrix = motion(turn, scale, (15.0, -22, 30))
    image, brain = scanned(matrix, spacing, shear, turn=(8, 3, -5))
    result = prepare(image, PrepareOptions(bias=False, brain="given", register=kind), brain)
    assert result.volume.data.shape == (1, 197, 233, 189)
    assert error_of(result, matrix) < limit  # mm
    assert not [w for w in result.record["warnings"] if "regist" in w]


def test_same_seed_gives_the_same_bits_with_any_threads():
    matrix = motion((5, 5, 5), (0.95, 0.9, 1), (3.0, 2, 1))
    image, brain = scanned(matrix, (2, 2, 2))
    first, second = (prepare(image, PrepareOptions(brain="given", threads=n), brain) for n in (1, 2))
    assert np.array_equal(first.to_native, second.to_native)
    assert np.array_equal(first.volume.data, second.volume.data)


def test_half_a_brain_is_refused_and_a_shaved_one_warned_of():
    matrix = motion((5, 0, 0), (0.95, 0.95, 0.95), (0.0, 0, 0))
    image, brain = scanned(matrix, (2, 2, 2))
    planes = np.flatnonzero(brain.any((0, 1)))
    shaved = planes[-1] - 6
    options = PrepareOptions(bias=False, brain="given", register="rigid")
    cut = Volume(image.data[..., :shaved], image.affine)
    warnings = prepare(cut, options, brain[..., :shaved]).record["warnings"]
    assert any("cut off" in w for w in warnings)
    half = slice(0, int(planes.mean()))
    with pytest.raises(VolumeError, match="expected a whole brain"):
        prepare(Volume(image.data[..., half], image.affine), options, brain[..., half])


def test_what_is_no_brain_is_called_unusual():
    shape = (80, 80, 80)
    rng, brain = np.random.default_rng(0), np.zeros(shape, dtype=bool)
    brain[10:70, 30:50, 20:60] = True
    image = Volume((rng.uniform(50, 100, shape) * brain)[None], np.diag([2.0, 2, 2, 1]))
    record = prepare(image, PrepareOptions(bias=False, brain="given", register="rigid"), brain).record
    assert any("Dice" in warning for warning in record["warnings"])


def test_registered_scan_says_its_space_in_its_header_and_is_known_by_it(tmp_path):
    matrix = motion((8, 3, -5), (0.95, 0.92, 0.94), (3, -12, 8))
    image, brain = scanned(matrix, (2.5, 2.5, 2.5))
    image.save(image.data, tmp_path / "a.nii.gz")
    options = PrepareOptions(bias=False, brain="given", register="affine")
    scan = prepare(tmp_path / "a.nii.gz", options, brain)
    scan.volume.save(scan.volume.data, tmp_path / "prepared.nii.gz")
    again = Volume.load(tmp_path / "prepared.nii.gz")
    assert (int(again.origin.header["sform_code"]), int(again.origin.header["qform_code"])) == (4, 4)
    info = describe_template_map(torch.from_numpy(again.data)[None] > 0, again)
    assert info["to_template"]["source"] == "registration"
    assert np.allclose(info["to_template"]["matrix"], np.eye(4))
