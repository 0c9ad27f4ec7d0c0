"""A data set that looks what a folder holds."""

import pytest

from diffad.config import SpaceConfig
from diffad.data.auto import find_kind
from diffad.data.items import DataError
from diffad.registry import DATASETS, UnknownNameError
from tests.helpers.brains import save_image, save_volume


@pytest.mark.parametrize(
    ("save", "suffix", "name"), [(save_image, "png", "images"), (save_volume, "nii.gz", "volumes")]
)
def test_folder_is_read_by_what_it_holds(tmp_path, save, suffix, name):
    for i in range(10):
        save(tmp_path / f"sub-{i}_T1w.{suffix}", seed=i)
    assert find_kind(tmp_path) == name
    options = {"root": str(tmp_path), "space": SpaceConfig(size=16)}
    auto, named = (DATASETS.build(kind, **options) for kind in ("auto", name))
    assert type(auto) is type(named)
    assert len(auto) == len(named)
    with pytest.raises(UnknownNameError, match="did you mean 'limit'"):
        DATASETS.build("auto", limt=3, **options)


def test_folder_of_neither_or_both_is_refused(tmp_path):
    with pytest.raises(DataError, match="found neither"):
        find_kind(tmp_path)
    save_image(tmp_path / "a.png", seed=0)
    save_volume(tmp_path / "a.nii.gz", seed=0)
    with pytest.raises(DataError, match="found both; say data"):
        find_kind(tmp_path)


def test_wrong_kind_says_which_one_is_right(tmp_path):
    save_image(tmp_path / "images" / "a.png", seed=0)
    save_volume(tmp_path / "volumes" / "a.nii.gz", seed=0)
    with (
        pytest.warns(UserWarning, match="1 .png"),
        pytest.raises(DataError, match=r"data\.name=images data\.mask=null"),
    ):
        DATASETS.build("volumes", root=str(tmp_path / "images"))
    with pytest.raises(DataError, match=r"this folder holds volumes: data\.name=volumes"):
        DATASETS.build("images", root=str(tmp_path / "volumes"))
