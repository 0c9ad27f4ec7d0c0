"""Prepared scans are kept on disk, checked, and made anew when anything changes."""

import errno
import os

import pytest
import torch
from safetensors.torch import load_file

from diffad.config import SpaceConfig
from diffad.data import cache, duplicates, volumes
from diffad.data.volumes import Volumes
from tests.helpers.brains import save_volume


@pytest.fixture
def folder(tmp_path):
    for i in range(3):
        save_volume(tmp_path / "scans" / f"sub-{i}.nii.gz", seed=i)
    return tmp_path


@pytest.fixture
def reads(monkeypatch):
    """Names of the scans that are read, in order; digests known from elsewhere are forgotten."""
    names, read = [], volumes.read_scan
    monkeypatch.setattr(duplicates, "_DIGESTS", {})
    monkeypatch.setattr(
        volumes, "read_scan", lambda scan, mask=None: names.append(scan.path.name) or read(scan, mask)
    )
    return names


def load(folder, size=16, **options):
    options = {"shares": {"train": 1.0}, "cache": str(folder / "kept")} | options
    return Volumes(str(folder / "scans"), space=SpaceConfig(size=size), **options)


def kept(folder):
    return sorted((folder / "kept").iterdir())


def equal(a, b):
    return len(a) == len(b) and all(
        torch.equal(x.image, y.image) and torch.equal(x.mask, y.mask) for x, y in zip(a, b, strict=True)
    )


def test_second_start_reads_no_scan(folder, reads):
    first = load(folder)
    assert reads == ["sub-0.nii.gz", "sub-1.nii.gz", "sub-2.nii.gz"]
    assert len(kept(folder)) == 3
    duplicates._DIGESTS.clear()
    assert equal(load(folder), first)
    assert len(reads) == 3
    assert equal(load(folder, cache=None), first)


def test_second_start_compares_splits_without_reading_them(folder, monkeypatch):
    shares = {"train": 0.67, "val": 0.33}
    load(folder, shares=shares, split="train")
    load(folder, shares=shares, split="val")
    duplicates._DIGESTS.clear()
    monkeypatch.setattr(duplicates.Volume, "load", None)
    assert len(load(folder, shares=shares, split="val").scans) == 1


@pytest.mark.parametrize("options", [{"size": 20}, {"slices": [2, 6]}, {"min_brain": 0.2}])
def test_other_preparation_is_kept_apart(folder, reads, options):
    first = load(folder)
    other = load(folder, **options)
    assert len(reads) == len(kept(folder)) == 6
    assert not equal(first, other)
    assert equal(load(folder), first)
    assert len(reads) == 6


def test_changed_scan_is_prepared_anew(folder, reads):
    first = load(folder)
    save_volume(folder / "scans" / "sub-1.nii.gz", seed=77)
    assert not equal(load(folder), first)
    assert reads[3:] == ["sub-1.nii.gz"]


def test_touched_or_changed_mask_counts_too(folder, reads):
    for i in range(3):
        save_volume(folder / "scans" / f"sub-{i}_mask.nii.gz", seed=i)
    load(folder, mask="*_mask.nii.gz")
    os.utime(folder / "scans" / "sub-2_mask.nii.gz", (1, 1))
    load(folder, mask="*_mask.nii.gz")
    assert reads[3:] == ["sub-2.nii.gz"]


def damage_end(content):
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    "damage", [lambda c: c[: len(c) // 2], lambda c: b"", lambda c: b"\xff" * len(c), damage_end]
)
def test_damaged_file_is_rebuilt_with_a_warning(folder, reads, damage):
    first = load(folder)
    path = kept(folder)[1]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match=rf"{path.name}: expected a cached scan.*prepared again"):
        assert equal(load(folder), first)
    assert reads[3:] == ["sub-1.nii.gz"]
    assert equal(load(folder), first)
    assert len(reads) == 4


def test_full_disk_is_named_and_leaves_no_pieces(folder, monkeypatch):
    load(folder, limit=1)

    def save_file(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "save_file", save_file)
    with pytest.raises(OSError, match=r"sub-1-.*: cannot be written \(No space left on device\)") as error:
        load(folder)
    assert error.value.errno == errno.ENOSPC
    assert [path.name[:5] for path in kept(folder)] == ["sub-0"]


def test_file_in_place_of_the_folder_is_named(folder):
    (folder / "kept").write_text("a file")
    with pytest.raises(OSError, match=r"kept.*: cannot be written"):
        load(folder)


def test_files_are_plain_safetensors(folder):
    data = load(folder)
    tensors = load_file(kept(folder)[0])
    assert tensors["image"].dtype == torch.float32
    assert tensors["mask"].dtype == torch.uint8
    assert torch.equal(tensors["image"][0], data[0].image)


def test_nothing_is_written_without_a_folder(folder):
    load(folder, cache=None)
    assert [path.name for path in folder.iterdir()] == ["scans"]
