"""What every registered data set promises; a new one adds its row to MAKE."""

import inspect

import pytest
import torch

from diffad.config import SpaceConfig
from diffad.data.items import TrainingItem
from diffad.registry import DATASETS
from tests.helpers.brains import save_image, save_volume
from tests.helpers.label_maps import save_labels

SIZE = 16


def images(folder):
    for i in range(10):
        save_image(folder / f"sub-{i}_T1w.png", seed=i)
    return {"root": str(folder)}


def volumes(folder):
    for i in range(10):
        save_volume(folder / f"sub-{i // 2}_ses-{i % 2}_T1w.nii.gz", seed=i)
    return {"root": str(folder), "min_brain": 0.05}


def labels(folder):
    for i in range(5):
        save_labels(folder / f"sub-{i}_dseg.nii.gz", seed=i)
    return {"root": str(folder), "slices": [28, 32], "contrast": "t1"}


def mix(folder):
    return {"parts": [{"name": "toy", "count": 3, "weight": 0.1}, {"name": "labels", **labels(folder)}]}


# What each data set is built from, as little as possible: one row for each.
MAKE = {
    "auto": volumes,
    "images": images,
    "labels": labels,
    "mix": mix,
    "toy": lambda folder: {"count": 6},
    "volumes": volumes,
}


@pytest.fixture(params=sorted(DATASETS))
def build(request, tmp_path):
    """Build a split of the data set, in a small grid."""
    options = MAKE[request.param](tmp_path)
    return lambda split="train": DATASETS.build(
        request.param, **options, split=split, space=SpaceConfig(size=SIZE)
    )


def test_every_dataset_has_a_row():
    assert set(MAKE) == set(DATASETS)


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_split_and_space_are_options(name):
    assert {"split", "space"} <= set(inspect.signature(DATASETS[name]).parameters)


@pytest.mark.parametrize("split", ["train", "val"])
def test_items_are_images_with_masks_in_the_grid(build, split):
    data = build(split)
    items = [data[i] for i in range(len(data))]
    assert items
    for item in items:
        assert isinstance(item, TrainingItem)
        assert item.image.dtype == item.mask.dtype == torch.float32
        assert item.image.shape == item.mask.shape == (1, SIZE, SIZE)
        assert item.image.min() >= 0
        assert 0.5 < item.image.max() <= 1
        assert set(item.mask.unique().tolist()) == {0.0, 1.0}
        assert isinstance(item.subject, str)
        assert item.subject
        assert item.label is None


def test_background_is_exactly_zero(build):
    assert all(not item.image[item.mask == 0].any() for item in build())


def test_same_item_each_time_and_in_each_build(build):
    data, again = build(), build()
    assert len(data) == len(again)
    for i in range(len(data)):
        assert data[i].subject == again[i].subject
        for other in (data[i], again[i]):
            assert torch.equal(data[i].image, other.image)
            assert torch.equal(data[i].mask, other.mask)


def test_items_differ(build):
    data = build()
    assert all(not torch.equal(data[0].image, data[i].image) for i in range(1, len(data)))


def test_splits_share_no_subject(build):
    train, val = ({item.subject for item in build(split)} for split in ("train", "val"))
    assert train
    assert val
    assert not train & val


def test_index_out_of_range_raises(build):
    data = build()
    for index in (len(data), len(data) + 5, -len(data) - 1):
        with pytest.raises(IndexError):
            data[index]
