"""The steps one by one: what they refuse, what they warn of, what they write down."""

import json

import nibabel as nib
import numpy as np
import pytest

from diffad.data.volume import Volume, VolumeError
from diffad.prepare import PrepareOptions, prepare
from diffad.prepare.brain import cap_fraction, measure_edge_sections
from diffad.prepare.geometry import VoxelGrid, format_itk, map_voxels, resample
from diffad.prepare.hounsfield import guess_units
from tests.helpers.heads import affine_of, brain_at, head, scan_at, volume, world

PLAIN = PrepareOptions(bias=False, brain="given", register="none", spacing=2.0)
CT = PrepareOptions(modality="ct", register="none", spacing=None)


def ct_head(shape=(72, 80, 64), spacing=3.0):
    """A CT: brain of 35 HU with blood of 75 in a skull of 900, scalp of 20, on air."""
    affine = affine_of((spacing,) * 3, shape=shape)
    points = world(shape, affine)
    rings = [brain_at(points * 1.0 / k + np.array([4.0, -20, 10]) * (1 - 1 / k)) for k in (1.0, 1.12, 1.22)]
    image = np.full(shape, -1000.0, dtype=np.float32)
    for ring, value in zip(rings[::-1], (20.0, 900.0, 35.0), strict=True):
        image[ring] = value
    blood = ((points - [20, -10, 15]) ** 2).sum(-1) < 12**2
    image[blood] = 140
    return Volume(image[None], affine), rings[0], blood


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modality": "pet"}, "modality: expected mri or ct, got 'pet'"),
        ({"brain": "bet"}, "brain: expected deepbet, threshold, given or none"),
        ({"register": "warp"}, "register: expected affine, rigid or none"),
        ({"spacing": 0.0}, "spacing: expected 0.25 to 10 mm, got 0.0"),
        ({"spacing": float("nan")}, "spacing"),
        ({"modality": "ct", "brain": "deepbet"}, "which is for MRI"),
        ({"brain": "threshold"}, "which is for CT"),
        ({"seed": -1}, "of at least 0"),
        ({"hu": "guess"}, "hu: expected check or shift"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        PrepareOptions(**options)


def test_brain_follows_the_modality():
    assert (PrepareOptions().brain, PrepareOptions(modality="ct").brain) == ("deepbet", "threshold")


def test_4d_file_is_refused_by_name(tmp_path):
    nib.save(nib.Nifti1Image(np.random.rand(20, 20, 20, 3).astype("f4"), np.eye(4)), tmp_path / "ä b.nii.gz")
    with pytest.raises(VolumeError, match=r"ä b.nii.gz: expected a 3-D scan, found a 4-D file of 3 volumes"):
        prepare(tmp_path / "ä b.nii.gz", PLAIN)


def test_tiny_volume_is_refused():
    with pytest.raises(VolumeError, match="at least 16 voxels along each axis, found"):
        prepare(Volume(np.random.rand(1, 40, 40, 8), np.eye(4)), PLAIN)


def test_too_many_voxels_are_refused(monkeypatch):
    monkeypatch.setattr("diffad.prepare.read.MAX_VOXELS", 1000)
    with pytest.raises(VolumeError, match="expected at most 1000 voxels, found"):
        prepare(volume()[0], PLAIN)


def test_voxels_of_a_wrong_size_do_not_become_a_huge_grid():
    image, brain = volume()
    with pytest.raises(VolumeError, match=r"found a brain that needs .*; check the voxel size"):
        prepare(Volume(image.data, image.affine @ np.diag([30, 30, 30, 1])), PLAIN, brain)


def test_huge_volume_says_how_much_memory_it_needs(monkeypatch):
    monkeypatch.setattr("diffad.prepare.read.HUGE_VOXELS", 1000)
    image, brain = volume()
    assert "GB of memory" in prepare(image, PLAIN, brain).record["warnings"][0]


def test_empty_list_is_refused():
    with pytest.raises(VolumeError, match="empty list"):
        prepare([], PLAIN)


@pytest.mark.parametrize(
    ("mask", "message"), [(None, "expected a brain mask"), (0, "found none"), (1, "a mask")]
)
def test_masks_are_checked(mask, message):
    image, brain = volume()
    given = {None: None, 0: np.zeros_like(brain), 1: brain[:-1]}[mask]
    with pytest.raises(VolumeError, match=message):
        prepare(image, PLAIN, given)


def test_reference_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="reference: expected 0 to 0, got 2"):
        prepare(volume()[0], PrepareOptions(reference=2, brain="none"))


def test_record_tells_every_step_as_json():
    image, brain = volume("sheared")
    record = prepare(image, PrepareOptions(brain="given", register="none", spacing=3.0), brain).record
    assert json.loads(json.dumps(record)) == record
    assert [step["step"] for step in record["steps"]] == ["read", "brain", "bias", "resample"]
    assert all(step["seconds"] >= 0 for step in record["steps"])
    assert record["options"]["register"] == "none"
    assert record["steps"][1]["ml"] == pytest.approx(4 / 3 * np.pi * 60 * 75 * 55 / 1000, rel=0.02)
    assert record["steps"][3]["brain_ml"] == pytest.approx(record["steps"][1]["ml"], rel=0.03)
    assert any("right angles" in warning for warning in record["warnings"])


def test_head_cut_a_little_is_warned_of_and_a_lot_refused():
    image, brain = volume("plain")
    widest = int(brain.sum((0, 1)).argmax())
    top = int(np.flatnonzero(brain.any((0, 1)))[-1])
    little, lot = top - 4, widest
    cut = Volume(image.data[..., :little], image.affine)
    record = prepare(cut, PLAIN, brain[..., :little]).record
    assert any("cut off" in warning and "superior" in warning for warning in record["warnings"])
    with pytest.raises(VolumeError, match=r"expected a whole brain, found .*superior"):
        prepare(Volume(image.data[..., :lot], image.affine), PLAIN, brain[..., :lot])


def test_lost_share_is_that_of_an_ellipsoid():
    _, brain, _ = head("plain")
    for k in range(14, 28, 4):
        section = measure_edge_sections(brain[..., k:])["inferior"]
        assert cap_fraction(section) == pytest.approx(brain[..., :k].sum() / brain.sum(), abs=0.03)


def test_unlikely_volume_of_a_given_mask_is_a_warning():
    image, brain = volume("plain")
    small = brain & (image.data[0] < 50)
    record = prepare(image, PLAIN, small).record
    assert "expected a brain of 700 to 2100 ml, found" in record["warnings"][0]


def test_brain_that_no_network_finds_is_refused(monkeypatch):
    monkeypatch.setattr("diffad.prepare.brain.find_brain_deepbet", lambda image, threads: image > 1e9)
    with pytest.raises(VolumeError, match=r"expected a brain, found none \(deepbet\)"):
        prepare(volume()[0], PrepareOptions(register="none"))


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "SimpleITK", None)
    image, brain = volume()
    with pytest.raises(ImportError, match=r'pip install "diffad\[prepare\]"'):
        prepare(image, PLAIN, brain)


def test_ct_brain_is_what_the_skull_holds():
    image, brain, blood = ct_head()
    result = prepare(image, CT)
    overlap = 2 * (result.native_brain & brain).sum() / (result.native_brain.sum() + brain.sum())
    assert overlap > 0.97
    assert result.native_brain[blood].all()
    assert result.volume.data.max() < 200
    assert result.volume.data[0][brain & ~blood & result.brain].mean() == pytest.approx(35, abs=1)
    assert result.record["steps"][1]["found"] == "hu"


def test_stripped_ct_is_taken_as_it_is():
    image, brain, _ = ct_head()
    stripped = Volume(image.data * brain, image.affine)
    assert np.array_equal(prepare(stripped, CT).native_brain, brain)
    on_air = Volume(np.where(brain, image.data, -1000), image.affine)
    assert np.array_equal(
        prepare(on_air, PrepareOptions(**{**vars(CT), "brain": "none"})).native_brain, brain
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x: np.clip(x + 1024, 0, 4095), "offset of -1024"),
        (lambda x: np.clip((x + 20) / 120 * 255, 0, 255).round(), "image of 8 bits"),
        (lambda x: np.clip(x, -100, 300), "without cutting it to a window"),
    ],
)
def test_ct_that_is_not_in_hounsfield_units_is_refused(wrong, message):
    image, _, _ = ct_head()
    with pytest.raises(VolumeError, match=f"expected Hounsfield units, .*{message}"):
        prepare(Volume(wrong(image.data), image.affine), CT)


def test_forgotten_offset_can_be_shifted():
    image, brain, blood = ct_head()
    shifted = Volume(image.data + 1024, image.affine)
    result = prepare(shifted, PrepareOptions(**{**vars(CT), "hu": "shift"}))
    assert result.volume.data[0][brain & ~blood & result.brain].mean() == pytest.approx(35, abs=1)
    assert "1024 was subtracted" in result.record["warnings"][0]
    assert guess_units(shifted.data[0]) == "offset"


@pytest.mark.parametrize("padding", [-2000.0, -1000.0])
@pytest.mark.parametrize("masked", [False, True])
def test_padding_hides_no_offset_with_or_without_a_mask(padding, masked):
    image, brain, _ = ct_head()
    data = image.data + 1024
    data[:, :3] = padding
    options = PrepareOptions(**{**vars(CT), "brain": "given" if masked else "threshold"})
    with pytest.raises(VolumeError, match="offset of -1024"):
        prepare(Volume(data, image.affine), options, brain if masked else None)


def test_mask_of_a_ct_that_is_no_brain_is_said():
    image, _, _ = ct_head()
    options = PrepareOptions(**{**vars(CT), "brain": "given"})
    skull = 0.9 * (image.data[0] == 900)
    skull[30, 40, 30] = 0.3
    warnings = prepare(image, options, skull).record["warnings"]
    for words in ("found a median of 900; look at the brain mask", "as probabilities"):
        assert any(words in warning for warning in warnings)


def test_resample_follows_any_matrix():
    rng = np.random.default_rng(0)
    old = VoxelGrid((9, 8, 7), np.eye(4))
    data = np.add.outer(np.add.outer(np.arange(9.0), 10 * np.arange(8.0)), 100 * np.arange(7.0))
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3) * 0.5 + rng.uniform(-0.1, 0.1, (3, 3))
    affine[:3, 3] = 2
    new = VoxelGrid((4, 3, 5), affine)
    points = world(new.shape, affine)
    assert np.allclose(resample(data, map_voxels(new, old), new.shape), points @ [1, 10, 100], atol=1e-2)
    rounded = np.round(points) @ [1, 10, 100]
    assert np.allclose(resample(data, map_voxels(new, old), new.shape, nearest=True), rounded, atol=1e-2)
    assert (resample(data, np.diag([1.0, 1, 1, 1]) + np.eye(4, k=3) * 50, (2, 2, 2), fill=7) == 7).all()


def test_itk_reads_the_transform(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    matrix = np.eye(4)
    matrix[:3] += np.random.default_rng(1).normal(0, 0.2, (3, 4))
    (tmp_path / "x.tfm").write_text(format_itk(matrix))
    point, flip = np.array([10.0, -20, 30]), np.array([-1, -1, 1])
    moved = sitk.ReadTransform(str(tmp_path / "x.tfm")).TransformPoint((point * flip).tolist())
    assert np.allclose(np.array(moved) * flip, matrix[:3, :3] @ point + matrix[:3, 3])


def test_scan_without_a_lesion_has_none():
    assert scan_at(np.array([[24.0, 5, 18]]), lesion=False)[0] < 120
