"""Equal voxels are found under any name, compression and orientation."""

import numpy as np
import pytest
from PIL import Image

from diffad.data.duplicates import find_duplicates, report_duplicates
from diffad.data.items import DataError
from tests.helpers.brains import brain, save_image, save_volume


def test_volumes_are_compared_by_voxels(tmp_path):
    paths = [
        save_volume(tmp_path / "a.nii.gz", seed=1),
        save_volume(tmp_path / "b.nii", seed=1),
        save_volume(tmp_path / "c.nii", data=brain(1)[::-1], affine=np.diag([-1.0, 1, 1, 1])),
        save_volume(tmp_path / "d.nii", seed=2),
    ]
    assert find_duplicates(paths) == [paths[:3]]


def test_images_are_compared_by_pixels(tmp_path):
    paths = [save_image(tmp_path / f"{name}.png", seed=seed) for name, seed in (("a", 1), ("b", 2), ("d", 2))]
    Image.open(paths[0]).save(tmp_path / "c.bmp")
    result = find_duplicates([*map(str, paths), tmp_path / "c.bmp"])
    assert result == [[paths[0], tmp_path / "c.bmp"], paths[1:]]


def test_reshaped_values_are_no_duplicate(tmp_path):
    values = np.arange(1, 49, dtype=np.float32)
    paths = [
        save_volume(tmp_path / "a.nii", data=values.reshape(4, 3, 4)),
        save_volume(tmp_path / "b.nii", data=values.reshape(3, 4, 4)),
    ]
    assert find_duplicates(paths) == []


def test_changed_file_is_read_again(tmp_path):
    paths = [save_volume(tmp_path / f"{i}.nii", seed=i) for i in range(2)]
    assert find_duplicates(paths) == []
    save_volume(paths[1], seed=0)
    assert find_duplicates(paths) == [paths]


def test_unreadable_file_is_named(tmp_path):
    (tmp_path / "a.nii").write_bytes(b"no volume")
    with pytest.raises(ValueError, match=r"a\.nii: expected"):
        find_duplicates([tmp_path / "a.nii"])


def test_all_groups_across_splits_are_listed(tmp_path):
    train = {tmp_path / "a": "1", tmp_path / "b": "2", tmp_path / "c": "3", tmp_path / "d": "3"}
    val = {tmp_path / "e": "1", tmp_path / "f": "2"}
    with pytest.raises(DataError, match=r"a \(train\) = .*e \(val\); .*b \(train\) = .*f \(val\)$"):
        report_duplicates({"train": train, "val": val}, "train")
