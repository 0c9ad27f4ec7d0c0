"""What is known in the world must lie where it was, after the way to the prepared grid and back."""

import nibabel as nib
import numpy as np
import pytest
import torch

from diffad.data.volume import Volume
from diffad.inference.output import AnomalyOutput
from diffad.prepare import PrepareOptions, prepare
from tests.helpers.heads import GRIDS, LESION, blob, brain_at, centroid, head, scan_at, volume, world

PLAIN = PrepareOptions(bias=False, brain="given", register="none", spacing=2.0)


def written(folder, name):
    scan, brain, affine = head(name)
    nib.save(nib.Nifti1Image(scan, affine), folder / "scan.nii.gz")
    nib.save(nib.Nifti1Image(brain.astype(np.uint8), affine), folder / "brain.nii.gz")
    return folder / "scan.nii.gz", folder / "brain.nii.gz"


@pytest.mark.parametrize("name", GRIDS)
def test_lesion_implanted_in_the_scan_is_found_and_returns_within_a_voxel(tmp_path, name):
    scan, brain = written(tmp_path, name)
    outcome = prepare(scan, PLAIN, brain)
    bright = np.where(outcome.volume.data[0] > 130, outcome.volume.data[0] - 130, 0)
    assert np.abs(centroid(bright, outcome.volume.affine) - LESION).max() < 1.0  # mm
    returned = outcome.back(bright)
    error = np.linalg.solve(outcome.native.affine[:3, :3], centroid(returned, outcome.native.affine) - LESION)
    assert np.abs(error).max() < 0.5  # voxels of the native grid


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("kind", ["map", "mask"])
def test_landmarks_of_the_prepared_grid_return_within_a_voxel(name, kind):
    image, brain = volume(name)
    outcome = prepare(image, PLAIN, brain)
    points = world(outcome.brain.shape, outcome.volume.affine)
    for landmark in ([10.0, -40, 20], [-30.0, 10, 0], [30.0, -30, -10]):
        marked = blob(points, np.array(landmark), 7.0)
        returned = outcome.back(marked > 0.3 if kind == "mask" else marked, kind=kind)
        at = centroid(returned.astype(float), outcome.native.affine)
        error = np.linalg.solve(outcome.native.affine[:3, :3], at - landmark)
        assert np.abs(error).max() < 0.5


@pytest.mark.parametrize("name", ["oblique las", "sheared"])
def test_result_lies_on_the_files_own_grid(tmp_path, name):
    scan, brain = written(tmp_path, name)
    outcome = prepare(scan, PLAIN, brain)
    points = world(outcome.brain.shape, outcome.volume.affine)
    out = outcome.output(result(outcome, blob(points, LESION) > 0.3))
    files = out.save(tmp_path / "out", "x")
    saved, own = nib.load(files["mask"]), nib.load(scan)
    assert saved.shape == own.shape
    assert np.allclose(saved.affine, own.affine)
    error = np.linalg.solve(own.affine[:3, :3], centroid(saved.get_fdata(), own.affine) - LESION)
    assert np.abs(error).max() < 0.5


def result(outcome, lesion, change=-50.0):
    """A result that marks a lesion and takes ``change`` off it."""
    mask = torch.from_numpy(lesion)[None, None] & torch.from_numpy(outcome.brain)
    image = torch.from_numpy(outcome.volume.data)[None]
    return AnomalyOutput(
        anomaly_map=mask.float(),
        reconstruction=image + change * mask,
        mask=mask,
        score=torch.ones(1),
        info={"seed": 3},
        image=image,
        brain=torch.from_numpy(outcome.brain)[None, None],
        volume=outcome.volume,
        std=mask.float(),
        p_value=1 - 0.9 * mask.float(),
    )


def test_twin_is_the_scan_itself_but_where_it_was_changed():
    image, brain = volume("oblique")
    outcome = prepare(image, PLAIN, brain)
    lesion = blob(world(outcome.brain.shape, outcome.volume.affine), LESION) > 0.3
    out = outcome.output(result(outcome, lesion))
    changed = (out.reconstruction - out.image)[0, 0].numpy()
    inside = blob(world(brain.shape, image.affine), LESION, 3.0) > 0.5
    far = blob(world(brain.shape, image.affine), LESION, 9.0) < 0.2
    assert inside.any()
    assert np.array_equal(out.image[0], torch.from_numpy(image.data))
    assert np.abs(changed[far]).max() == 0
    assert np.allclose(changed[inside], -50, atol=1e-3)


def test_fields_of_the_result_keep_their_meaning_outside_the_brain():
    image, brain = volume("anisotropic")
    outcome = prepare(image, PLAIN, brain)
    lesion = blob(world(outcome.brain.shape, outcome.volume.affine), LESION) > 0.3
    out = outcome.output(result(outcome, lesion))
    outside = torch.from_numpy(~brain)[None, None]
    assert out.volume is outcome.native
    assert torch.equal(out.brain, ~outside)
    assert (out.p_value[outside] == 1).all()
    assert out.p_value.min() == pytest.approx(0.1, abs=1e-5)
    assert (out.anomaly_map[outside] == 0).all()
    assert (out.std[outside] == 0).all()
    assert not (out.mask & outside).any()
    assert out.info == {"seed": 3, "prepare": outcome.record}


def test_bias_is_divided_out_and_multiplied_back(monkeypatch):
    monkeypatch.setattr("diffad.prepare.bias.FIELD_SPACING", 8.0)  # quick
    image, brain = volume("plain", lesion=False)
    points = world(brain.shape, image.affine)
    bias = np.exp(0.006 * (points[..., 1] + 20)).astype(np.float32)
    biased = Volume(image.data * bias, image.affine)
    outcome = prepare(biased, PrepareOptions(brain="given", register="none", spacing=2.0), brain)
    ratio = (outcome.bias[0] / bias)[brain]
    assert ratio.std() / ratio.mean() < 0.03 < bias[brain].std() / bias[brain].mean()
    lesion = blob(world(outcome.brain.shape, outcome.volume.affine), LESION) > 0.3
    out = outcome.output(result(outcome, lesion, change=-40.0))
    inside = blob(points, LESION, 3.0) > 0.5
    changed = (out.reconstruction - out.image)[0, 0].numpy()[inside]
    assert np.allclose(changed, -40 * outcome.bias[0][inside], rtol=1e-4)


def test_none_leaves_the_grid_alone():
    image, brain = volume("las")
    outcome = prepare(image, PrepareOptions(bias=False, brain="given", register="none", spacing=None), brain)
    assert np.array_equal(outcome.volume.affine, image.affine)
    assert np.allclose(outcome.volume.data, image.data * brain, atol=1e-3)
    assert np.array_equal(outcome.brain, brain)
    assert np.array_equal(outcome.to_native, np.eye(4))


def test_sequences_on_other_grids_come_to_the_grid_of_the_reference():
    volumes, brains = zip(*(volume(name) for name in ("plain", "oblique")), strict=True)
    from diffad.prepare.record import Record
    from diffad.prepare.sequences import stack_sequences

    moved, offset = volumes[1], np.array([4.0, -3.0, 5.0])
    shifted = moved.affine.copy()
    shifted[:3, 3] += offset  # the patient moved between the sequences
    record = Record()
    outcome = stack_sequences([volumes[0], Volume(moved.data, shifted)], PLAIN, record)
    matrix = np.array(record.steps[0]["matrix"])
    assert outcome.data.shape == (2, *volumes[0].data.shape[1:])
    corners = np.array([[60.0, 20, 40], [-50.0, -80, -20], LESION])
    assert np.abs(corners @ matrix[:3, :3].T + matrix[:3, 3] - corners - offset).max() < 1.0  # mm
    inner = brains[0] & brain_at(world(brains[0].shape, outcome.affine) * [1.15, 1.1, 1.15])
    assert np.corrcoef(outcome.data[0][inner], outcome.data[1][inner])[0, 1] > 0.9


@pytest.mark.slow
def test_sequence_that_fits_is_not_looked_up_anew():
    from diffad.prepare.record import Record
    from diffad.prepare.sequences import stack_sequences

    image, _ = volume("plain")
    other = Volume(300 - image.data, image.affine)
    record = Record()
    outcome = stack_sequences([image, other], PLAIN, record)
    assert np.array_equal(outcome.data[1], other.data[0])
    assert record.steps[0]["looked_up"] is False


def test_back_refuses_what_lies_elsewhere():
    image, brain = volume("plain")
    outcome = prepare(image, PLAIN, brain)
    with pytest.raises(ValueError, match="on the prepared grid"):
        outcome.back(np.zeros((3, 4, 5)))
    with pytest.raises(ValueError, match="map, mask, image or labels"):
        outcome.back(outcome.brain, kind="label")


def test_scan_at_is_symmetric_in_no_axis():
    points = np.array([LESION, LESION * [-1, 1, 1]])
    assert scan_at(points)[0] > 150 > scan_at(points)[1]
