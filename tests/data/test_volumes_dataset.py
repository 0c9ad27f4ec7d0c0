"""Volumes become the slices a pipeline would cut; what does not fit is refused by name."""

import gzip

import nibabel as nib
import numpy as np
import pytest
import torch

from diffad.config import ConfigError, SpaceConfig
from diffad.data.items import DataError
from diffad.data.place import tabulate_places
from diffad.data.space import Space
from diffad.data.volumes import Volumes
from diffad.inference import scan as scans
from diffad.inference.stacking import make_stacks, measure_windows
from tests.helpers.brains import SHAPE, brain, save_volume

SPACE = SpaceConfig(size=16)
ALL = {"shares": {"train": 1.0}, "space": SPACE}
LAS = np.diag([-1.5, 1.0, 3.0, 1.0])


@pytest.fixture
def folder(tmp_path):
    """Ten volumes of five subjects, two visits each, without folders for splits."""
    for i in range(10):
        save_volume(tmp_path / f"sub-{i // 2}" / f"sub-{i // 2}_ses-{i % 2}_T1w.nii.gz", seed=i)
    return tmp_path


def stacked(data):
    return torch.stack([item.image for item in data]), torch.stack([item.mask for item in data])


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("slices", [None, (3, 8)])
def test_slices_are_those_a_pipeline_places(tmp_path, axis, slices):
    # Off the middle along every axis, so that the centre counts.
    path = save_volume(tmp_path / "scan.nii.gz", affine=LAS, data=np.pad(brain(), ((0, 6), (5, 0), (0, 4))))
    space = SpaceConfig(size=16, fov=20.0, axis=axis)
    data = Volumes(str(tmp_path), space=space, shares={"train": 1.0}, slices=slices, min_brain=0.0)
    source = scans.read_source(path)
    (stack,), (window,) = make_stacks(source, axis, slices), measure_windows(source, Space(space))
    image, brain_, _ = Space(space).place(stack.image, stack.brain, stack.spacing, stack.centre, window)
    result, mask = stacked(data)
    assert torch.equal(result, image)
    assert torch.equal(mask, brain_)


def test_whole_volumes_are_items_of_a_3d_space(folder):
    data = Volumes(str(folder), space=SpaceConfig(axis="volume"), shares={"train": 1.0})
    assert len(data) == 10
    assert data[0].image.shape == data[0].mask.shape == (1, *SHAPE)
    assert not data[0].image[data[0].mask == 0].any()


def test_whole_volumes_of_other_shapes_are_refused(folder):
    save_volume(folder / "sub-9_T1w.nii", shape=(12, 14, 11))
    with pytest.raises(
        DataError, match=r"sub-9_T1w\.nii: expected shape \(1, 12, 14, 10\).*found \(1, 12, 14, 11\)"
    ):
        Volumes(str(folder), space=SpaceConfig(axis="volume"), shares={"train": 1.0})


def test_slices_with_little_brain_are_left_out(tmp_path):
    save_volume(tmp_path / "scan.nii")
    every, some = (Volumes(str(tmp_path), **ALL, min_brain=share) for share in (0.0, 0.3))
    assert 0 < len(some) < len(every)
    expected = [item.image for item in every if item.mask.mean() >= 0.3]
    assert torch.equal(torch.stack(expected), stacked(some)[0])
    with pytest.raises(DataError, match=r"scan\.nii: expected slices with brain on at least 95\.00%"):
        Volumes(str(tmp_path), **ALL, min_brain=0.95)


def test_range_of_slices_counts_in_ras(tmp_path):
    save_volume(tmp_path / "ras" / "scan.nii")
    flipped = brain()[:, :, ::-1]
    save_volume(tmp_path / "rai" / "scan.nii", data=flipped, affine=np.diag([1.0, 1.0, -1.0, 1.0]))
    ras, rai = (Volumes(str(tmp_path / name), **ALL, slices=[2, 4]) for name in ("ras", "rai"))
    assert len(ras) == 2
    assert torch.equal(stacked(ras)[0], stacked(rai)[0])


@pytest.mark.parametrize("slices", [[3], [5, 5], [-1, 4]])
def test_impossible_range_of_slices_is_refused(folder, slices):
    with pytest.raises(DataError, match="first < last"):
        Volumes(str(folder), slices=slices)


def test_range_without_brain_names_the_scan(folder):
    with pytest.raises(
        ValueError, match=r"sub-0_ses-0_T1w\.nii\.gz: expected brain in the axial slices 90 to 99, found none"
    ):
        Volumes(str(folder), **ALL, slices=[90, 100])


def test_subjects_stay_together(folder):
    train, val = (Volumes(str(folder), split, SPACE) for split in ("train", "val"))
    subjects = [{item.subject for item in part} for part in (train, val)]
    assert [len(part.scans) for part in (train, val)] == [8, 2]
    assert subjects[0] | subjects[1] == {f"sub-{i}" for i in range(5)}
    assert not subjects[0] & subjects[1]


def test_limit_reads_the_first_scans_only(folder):
    (folder / "sub-4" / "sub-4_ses-1_T1w.nii.gz").write_bytes(b"damaged")
    data = Volumes(str(folder), **ALL, limit=3)
    assert [scan.files[0].name[:11] for scan in data.scans] == ["sub-0_ses-0", "sub-0_ses-1", "sub-1_ses-0"]


@pytest.mark.parametrize("damage", [b"no volume", b"\x1f\x8b no volume either", b""])
@pytest.mark.parametrize("split", ["train", "val"])
def test_unreadable_volume_is_named_never_skipped(folder, damage, split):
    path = folder / "sub-2" / "sub-2_ses-1_T1w.nii.gz"
    path.write_bytes(damage)
    with pytest.raises(ValueError, match=r"sub-2_ses-1_T1w\.nii\.gz: expected"):
        Volumes(str(folder), split, SPACE)


def test_truncated_volume_is_named(tmp_path):
    path = save_volume(tmp_path / "scan.nii.gz")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-100]))
    with pytest.raises(ValueError, match=r"scan\.nii\.gz: expected a readable NIfTI"):
        Volumes(str(tmp_path), **ALL)


def test_brain_without_contrast_is_named(tmp_path):
    save_volume(tmp_path / "scan.nii", data=(brain() > 0).astype(np.float32))
    with pytest.raises(ValueError, match=r"scan\.nii: expected contrast"):
        Volumes(str(tmp_path), **ALL)
    with pytest.raises(ValueError, match=r"scan\.nii: expected contrast"):
        Volumes(str(tmp_path), space=SpaceConfig(axis="volume"), shares={"train": 1.0})


def test_folders_of_splits_are_used_as_they_are(tmp_path):
    for i, name in enumerate(["train/a", "train/b", "val/c"]):
        save_volume(tmp_path / f"{name}.nii.gz", seed=i)
    subjects = [{i.subject for i in Volumes(str(tmp_path), split, SPACE)} for split in ("train", "val")]
    assert subjects == [{"a", "b"}, {"c"}]
    with pytest.raises(DataError, match="expected scans in split 'test', found these splits: train"):
        Volumes(str(tmp_path), "test", SPACE)


def test_mask_beside_the_scan_is_the_brain(tmp_path):
    save_volume(tmp_path / "sub-1_T1w.nii.gz", data=brain() + 20)
    save_volume(tmp_path / "sub-1_mask.nii.gz", data=(brain() > 0).astype(np.uint8))
    data = Volumes(str(tmp_path), **ALL, mask="*_mask.nii.gz", min_brain=0.0)
    assert len(data.scans) == 1
    assert not stacked(data)[0][stacked(data)[1] == 0].any()
    assert stacked(data)[1].mean() < 0.6


def test_missing_mask_names_the_scan(folder):
    with pytest.raises(DataError, match=r"sub-0_ses-0_T1w\.nii\.gz: expected a brain mask \*_mask\.nii\.gz"):
        Volumes(str(folder), mask="*_mask.nii.gz")


def test_mask_on_another_grid_is_named(tmp_path):
    save_volume(tmp_path / "a.nii.gz")
    save_volume(tmp_path / "a_mask.nii.gz", affine=LAS)
    with pytest.raises(ValueError, match=r"a_mask\.nii\.gz: expected the grid of .*a\.nii\.gz"):
        Volumes(str(tmp_path), **ALL, mask="*_mask.nii.gz")


def test_sequences_are_stacked_in_the_order_asked_for(tmp_path):
    for i, subject in enumerate("ab"):
        save_volume(tmp_path / f"{subject}_t1.nii.gz", seed=i)
        save_volume(tmp_path / f"{subject}_FLAIR.nii.gz", seed=10 + i)
        save_volume(tmp_path / f"{subject}_t1c.nii.gz", seed=20 + i)
    both, other = (Volumes(str(tmp_path), **ALL, sequences=s) for s in (["t1", "flair"], ["flair", "t1"]))
    assert {item.subject for item in both} == {"a", "b"}
    assert both[3].image.shape == (2, 16, 16)
    assert torch.equal(stacked(both)[0], stacked(other)[0].flip(1))
    alone = Volumes(str(tmp_path), **ALL, sequences=["t1"])
    assert torch.equal(stacked(alone)[0], stacked(both)[0][:, :1])


def test_scans_with_other_numbers_of_sequences_are_refused(tmp_path):
    save_volume(tmp_path / "a.nii.gz")
    save_volume(tmp_path / "b.nii.gz", data=np.stack([brain(1), brain(2)], -1))
    with pytest.raises(DataError, match=r"b\.nii\.gz: expected shape \(1, 16, 16\).*found \(2, 16, 16\)"):
        Volumes(str(tmp_path), **ALL)


def test_table_is_found_below_the_root(folder):
    (folder / "list.csv").write_text("path,subject\nsub-0/sub-0_ses-0_T1w.nii.gz,me\n")
    assert {item.subject for item in Volumes(str(folder), csv="list.csv", **ALL)} == {"me"}


@pytest.mark.parametrize("split", ["train", "val"])
def test_same_voxels_in_two_splits_are_refused(tmp_path, split):
    save_volume(tmp_path / "train" / "a.nii.gz", seed=1)
    save_volume(tmp_path / "train" / "b.nii.gz", seed=2)
    save_volume(tmp_path / "val" / "c.nii", data=brain(1)[::-1], affine=np.diag([-1.0, 1, 1, 1]))
    with pytest.raises(DataError, match=r"a\.nii\.gz \(train\) = .*c\.nii \(val\)"):
        Volumes(str(tmp_path), split, SPACE)


@pytest.mark.parametrize("split", ["train", "val"])
def test_subject_in_two_given_splits_is_refused(tmp_path, split):
    for i, name in enumerate(["train/a", "train/b", "val/b"]):
        save_volume(tmp_path / f"{name}.nii.gz", seed=i)
    with pytest.raises(DataError, match=r"each subject in one split, found b \(train, val\)"):
        Volumes(str(tmp_path), split, SPACE)


def test_same_voxels_in_one_split_are_reported(tmp_path):
    for name, seed in (("train/a", 1), ("train/b", 1), ("val/c", 2)):
        save_volume(tmp_path / f"{name}.nii.gz", seed=seed)
    with pytest.warns(UserWarning, match=r"several names: .*a\.nii\.gz = .*b\.nii\.gz"):
        assert len(Volumes(str(tmp_path), "train", SPACE).scans) == 2


@pytest.mark.shared
def test_real_head_lies_in_the_grid(shared_dir):
    data = Volumes(
        str(shared_dir / "data" / "volumes"),
        space=SpaceConfig(fov=233.0),
        pattern="healthy_t1_head.nii.gz",
        slices=[100, 110],
        **{"shares": {"train": 1.0}},
    )
    assert len(data) == 10
    for item in data:
        assert item.image.shape == item.mask.shape == (1, 128, 128)
        assert 0.2 < item.mask.mean() < 0.9
        assert 0 <= item.image.min() < 0.05 < item.image.max() <= 1


@pytest.mark.shared
def test_real_thick_slices_lie_in_their_mask(shared_dir):
    data = Volumes(
        str(shared_dir / "data" / "volumes"),
        space=SpaceConfig(fov=233.0),
        pattern="glioma_t1c_*.nii.gz",
        mask="*_brain_mask.nii.gz",
        **{"shares": {"train": 1.0}},
    )
    assert [scan.mask.name for scan in data.scans] == ["glioma_t1c_brain_mask.nii.gz"]
    assert 15 < len(data) < 30
    images, masks = stacked(data)
    assert not images[masks == 0].any()
    assert images[masks > 0].mean() > 0.2


def test_orientation_and_size_of_files_are_the_users_choice(tmp_path):
    image = nib.Nifti1Image(brain(), LAS)
    image.set_qform(np.diag([1.5, 1.0, 3.0, 1.0]), 1)
    image.set_sform(LAS, 2)
    nib.save(image, tmp_path / "scan.nii")
    options = {"shares": {"train": 1.0}, "space": SpaceConfig(axis="volume")}
    plain, other = (Volumes(str(tmp_path), trust=trust, **options)[0].image for trust in (None, "qform"))
    assert not torch.equal(plain, other)
    assert torch.equal(plain, other.flip(1))
    with pytest.raises(ValueError, match=r"scan\.nii: expected a readable file of at most 100 voxels"):
        Volumes(str(tmp_path), max_voxels=100, **options)
    with pytest.raises(ValueError, match="trust: expected one of qform, sform"):
        Volumes(str(tmp_path), trust="both", **options)


def test_slices_of_several_planes_are_items_with_their_places(tmp_path):
    """One network may serve all planes; what it is told is what a pipeline tells it."""
    path = save_volume(tmp_path / "scan.nii.gz", affine=LAS)
    space = SpaceConfig(size=16, fov=20.0, further_axes=("coronal", "sagittal"))
    options = {"shares": {"train": 1.0}, "min_brain": 0.0, "cache": str(tmp_path / "cache")}
    data = Volumes(str(tmp_path), space=space, **options)
    source = scans.read_source(path)
    (window,) = measure_windows(source, Space(space))
    stacks = [make_stacks(source, axis)[0] for axis in space.axes]
    parts = [Space(space).place(s.image, s.brain, s.spacing, s.centre, window)[0] for s in stacks]
    assert torch.equal(stacked(data)[0], torch.cat(parts))
    places = tabulate_places([item.place for item in data])
    assert torch.equal(places, tabulate_places([p for s in stacks for p in s.places]))
    again = Volumes(str(tmp_path), space=space, **options)
    assert [item.place for item in again] == [item.place for item in data]
    with pytest.raises(DataError, match="one axis only"):
        Volumes(str(tmp_path), space=space, slices=(1, 3), **options)


def test_planes_that_come_twice_are_refused():
    """A plane is the network's own, or a further one."""
    with pytest.raises(ConfigError, match=r"space\.further_axes"):
        SpaceConfig(further_axes=("axial",))
    with pytest.raises(ConfigError, match=r"space\.further_axes"):
        SpaceConfig(axis="volume", further_axes=("axial",))
