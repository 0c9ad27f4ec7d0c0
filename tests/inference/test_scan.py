"""Whatever is handed over becomes stacks of slices, or one clear error; and maps find their way back."""

from pathlib import Path

import numpy as np
import pytest
import torch

from diffad.data.volume import Volume, VolumeError
from diffad.inference import scan as scans
from diffad.inference.stack import StackResult
from diffad.inference.stacking import assemble_maps, check_sequence_count, fuse_scan_maps, make_stacks
from tests.helpers.brains import brain, save_volume


@pytest.fixture
def path(tmp_path):
    return save_volume(tmp_path / "scan.nii.gz")


def image(b=2, c=1, shape=(8, 9)):
    return torch.rand(b, c, *shape, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1


def test_path_text_list_and_volume_are_read_alike(path):
    sources = [scans.read_source(s) for s in (path, str(path), [path], Volume.load(path))]
    for source in sources:
        assert source.image.shape == (1, 1, 12, 14, 10)
        assert torch.equal(source.image, sources[0].image)
        assert torch.equal(source.brain, sources[0].image != 0)
        assert source.name == str(path)


def test_several_files_become_channels(tmp_path):
    paths = [save_volume(tmp_path / f"{s}.nii.gz", seed=s) for s in range(3)]
    assert scans.read_source(paths).image.shape == (1, 3, 12, 14, 10)


def test_mask_may_be_a_file_an_array_or_a_tensor(path, tmp_path):
    inside = np.zeros((12, 14, 10), np.uint8)
    inside[3:9, 3:9, 2:8] = 1
    masks = [save_volume(tmp_path / "mask.nii.gz", data=inside), inside > 0, torch.from_numpy(inside), inside]
    for mask in masks:
        assert torch.equal(scans.read_source(path, mask).brain[0, 0], torch.from_numpy(inside > 0))


def test_tensor_is_its_own_scan_with_the_mask_of_its_non_zero_pixels():
    x = image()
    x[:, :, :2] = 0
    source = scans.read_source(x)
    assert source.volume is None
    assert source.name == "the scan"
    assert not source.brain[:, :, :2].any()
    assert source.brain[:, :, 2:].all()


BAD = [
    (torch.zeros(8, 9), None, r"expected a tensor \(B, C, \*S\) .* got shape \(8, 9\)"),
    (torch.zeros(0, 1, 8, 9), None, r"expected a tensor \(B, C, \*S\)"),
    (torch.full((1, 1, 8, 9), float("nan")), None, "expected finite intensities, got 72 that are not"),
    (torch.full((1, 1, 8, 9), 2.0), None, r"expected a tensor in \[0, 1\], got values 2 to 2"),
    (-image(), None, r"expected a tensor in \[0, 1\], got values -"),
    (
        torch.zeros(2, 1, 8, 9),
        None,
        r"expected brain masks with pixels inside, got empty ones for items \[0, 1\]",
    ),
    (image(), torch.zeros(2, 1, 8, 9), "got empty ones"),
    (image(), torch.ones(2, 1, 8, 8), r"expected a mask \(2, 1, 8, 9\), got shape \(2, 1, 8, 8\)"),
    (image(c=2), torch.ones(2, 2, 8, 9), r"expected a mask \(2, 1, 8, 9\)"),
]


@pytest.mark.parametrize(("x", "mask", "said"), BAD)
def test_tensor_that_cannot_be_used_raises(x, mask, said):
    with pytest.raises(ValueError, match=said):
        scans.read_source(x, mask)


def test_path_as_the_mask_of_a_tensor_raises():
    with pytest.raises(
        TypeError, match=r"expected the mask of a tensor as a tensor .* got the path 'm\.nii'"
    ):
        scans.read_source(image(), "m.nii")


def test_volume_that_cannot_be_used_raises_and_is_named(path, tmp_path):
    with pytest.raises(VolumeError, match=f"{path}: expected a mask .*, got shape"):
        scans.read_source(path, np.ones((3, 3, 3)))
    with pytest.raises(
        VolumeError, match=f"{path}: expected a brain mask with voxels above zero, found an empty one"
    ):
        scans.read_source(path, np.zeros((12, 14, 10)))
    with pytest.raises(VolumeError, match=r"nowhere\.nii: expected a NIfTI file, found no such file"):
        scans.read_source(tmp_path / "nowhere.nii")


def test_volume_made_from_broken_arrays_raises():
    data = brain()
    data[6, 7, 5] = np.inf
    with pytest.raises(VolumeError, match="the scan: expected finite intensities, got 1 that are not"):
        scans.read_source(Volume(data[None], np.eye(4)))


def test_images_are_stacks_of_one_with_the_same_noise_in_any_batch():
    stacks = make_stacks(scans.read_source(image(3)), "axial")
    assert [(s.image.shape, list(s.keys)) for s in stacks] == [((1, 1, 8, 9), [0])] * 3


def test_volume_is_cut_into_slices_with_brain_that_know_their_place(path):
    source = scans.read_source(path)
    for axis, i in (("sagittal", 0), ("coronal", 1), ("axial", 2)):
        (stack,) = make_stacks(source, axis)
        others = tuple(a for a in range(3) if a != i)
        expected = np.flatnonzero(source.brain[0, 0].numpy().any(axis=others)).tolist()
        assert list(stack.keys) == expected
        assert len(stack.image) == len(stack.brain) == len(expected) < source.image.shape[2 + i]
        assert stack.spacing == (1.0, 1.0)


def test_range_of_slices_keeps_the_keys_of_the_whole(path):
    source = scans.read_source(path)
    (whole,), (part,) = make_stacks(source, "axial"), make_stacks(source, "axial", (4, 6))
    assert list(part.keys) == [4, 5]
    assert torch.equal(part.image, whole.image[[list(whole.keys).index(k) for k in (4, 5)]])
    assert part.centre == whole.centre


def test_range_without_brain_raises(path):
    with pytest.raises(
        VolumeError,
        match=rf"{path}: expected brain in the axial slices 90 to 99, found none; the scan has 10",
    ):
        make_stacks(scans.read_source(path), "axial", (90, 100))


@pytest.mark.parametrize("axis", ["axial", "volume"])
def test_constant_brain_raises_and_names_the_scan(axis):
    x = torch.full((1, 1, 6, 6, 6), 0.5)
    with pytest.raises(
        VolumeError, match=r"the scan: expected contrast inside the brain mask, got the constant 0\.5"
    ):
        make_stacks(scans.read_source(x), axis)


def test_constant_channel_beside_a_good_one_raises():
    x = image(1, 2)
    x[:, 1] = 0.25
    with pytest.raises(VolumeError, match=r"got the constant 0\.25 in channel 1"):
        make_stacks(scans.read_source(x), "axial")


def test_images_for_a_network_of_volumes_and_ranges_without_slices_raise(path):
    with pytest.raises(ValueError, match=r"expected volumes, as the model was trained on, got images"):
        make_stacks(scans.read_source(image()), "volume")
    with pytest.raises(ValueError, match="expected a range of slices for volumes cut into slices only"):
        make_stacks(scans.read_source(image()), "axial", (0, 2))
    with pytest.raises(ValueError, match="expected a range of slices for volumes cut into slices only"):
        make_stacks(scans.read_source(path), "volume", (0, 2))


def test_wrong_number_of_sequences_names_both(path):
    stacks = make_stacks(scans.read_source(path), "axial")
    with pytest.raises(VolumeError, match=f"{path}: expected 2 sequence.* got 1"):
        check_sequence_count(stacks, 2, str(path))


PLANES = ("axial", "coronal", "sagittal")


@pytest.mark.parametrize(
    ("axis", "slices"), [(a, s) for a in PLANES for s in (None, (4, 6))] + [("volume", None)]
)
def test_maps_find_their_way_back(path, axis, slices):
    source = scans.read_source(path)
    stacks = make_stacks(source, axis, slices)
    results = [StackResult(s.image[:, :1] * 2, s.image + 1, 1, s.image * 3) for s in stacks]
    maps = assemble_maps(source, stacks, results, axis)
    seen, outside = maps.analysed, source.brain & ~maps.analysed
    assert torch.equal(maps.std[seen], source.image[seen] * 3)
    assert not maps.std[outside].any()
    assert maps.anomaly.shape == maps.reconstruction.shape == seen.shape == source.image.shape
    assert torch.equal(maps.anomaly[seen], source.image[seen] * 2)
    assert torch.equal(maps.reconstruction[seen], source.image[seen] + 1)
    assert bool((seen <= source.brain).all())
    assert torch.equal(seen, source.brain) == (slices is None)
    assert not maps.anomaly[outside].any()
    assert torch.equal(maps.reconstruction[outside], source.image[outside])


def test_fused_maps_keep_all_that_was_analysed_along_any_axis(path):
    source, parts = scans.read_source(path), []
    for n, (axis, slices) in enumerate([("axial", (4, 6)), ("coronal", (3, 5))], 1):
        stacks = make_stacks(source, axis, slices)
        results = [StackResult(0 * s.image[:, :1] + n, s.image + n, 7, s.image * n) for s in stacks]
        parts.append(assemble_maps(source, stacks, results, axis))
    maps = fuse_scan_maps(parts, "max")
    assert torch.equal(maps.analysed, parts[0].analysed | parts[1].analysed)
    assert torch.equal(maps.anomaly, torch.maximum(parts[0].anomaly, parts[1].anomaly))
    both = parts[0].analysed & parts[1].analysed
    assert both.any()
    torch.testing.assert_close(maps.reconstruction[both], source.image[both] + 1.5)
    torch.testing.assert_close(maps.std[both], source.image[both] * 1.5)
    assert maps.nfe == 7


@pytest.mark.parametrize("scan", [["a_t1.nii.gz", "a_flair.nii.gz"], ["x.nii", "y.nii"], "a_flair.nii.gz"])
def test_sequences_in_order_or_without_known_names_pass(scan):
    scans.check_sequences(scan, ["t1", "flair"])
    scans.check_sequences(scan, None)


def test_sequences_in_another_order_are_refused_by_name():
    with pytest.raises(VolumeError, match=r"a_flair.nii.gz: .* found flair in the place of t1"):
        scans.check_sequences([Path("a_flair.nii.gz"), Path("a_t1.nii.gz")], ["t1", "flair"])
