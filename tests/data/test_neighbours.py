"""Slices below and above a slice: the same slice as without, its neighbours in use and in training."""

import numpy as np
import pytest
import torch

from diffad.config import ConfigError, SpaceConfig
from diffad.data.items import DataError
from diffad.data.neighbours import list_neighbour_keys, stack_neighbours
from diffad.data.synthetic import LabelMaps
from diffad.data.volumes import Volumes
from diffad.inference.scan import read_source
from diffad.inference.stacking import make_stacks, measure_windows
from diffad.registry import DATASETS
from diffad.training.stream import Stream
from diffad.types import generator_for
from tests.helpers.brains import brain, save_image, save_volume
from tests.helpers.label_maps import save_labels

ALL = {"train": 1.0}


def build(root, neighbours=1, size=16, **options):
    """Return a data set of the volumes below a folder."""
    space = {"size": size, "neighbours": neighbours} | options.pop("space", {})
    return Volumes(str(root), space=SpaceConfig(**space), shares=ALL, **{"min_brain": 0.0, **options})


@pytest.fixture
def folder(tmp_path):
    for k in range(2):
        save_volume(tmp_path / f"sub-{k}_T1w.nii.gz", seed=k)
    return tmp_path


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    path = tmp_path_factory.mktemp("maps")
    save_labels(path / "sub-0_dseg.nii.gz")
    return path


def build_labels(root, neighbours, axis="axial", **options):
    space = SpaceConfig(size=48, fov=200.0, axis=axis, neighbours=neighbours)
    return LabelMaps(str(root), space=space, shares=ALL, **options)


def test_neighbours_are_counted_from_the_lowest_and_end_with_the_brain():
    assert list_neighbour_keys(5, 2, 0, 9) == [3, 4, 6, 7]
    assert list_neighbour_keys(9, 2, 0, 9) == [7, 8, 9, 9]
    assert list_neighbour_keys(1, 1, 1, 9, step=3) == [1, 4]


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_volumes_show_the_slices_on_either_side_inside_the_brain_of_the_slice(tmp_path, axis):
    save_volume(tmp_path / "scan.nii.gz")
    plain, data = (build(tmp_path, n, space={"axis": axis}) for n in (0, 1))
    assert len(plain) == len(data)
    for k, (old, item) in enumerate(zip(plain, data, strict=True)):
        assert old.neighbours is None
        assert torch.equal(old.image, item.image)
        assert torch.equal(old.mask, item.mask)
        others = [plain[min(max(k + step, 0), len(plain) - 1)].image for step in (-1, 1)]
        assert torch.equal(item.neighbours, torch.cat(others) * item.mask)


def test_neighbours_of_a_range_of_slices_and_of_much_brain_lie_beyond_it(tmp_path):
    save_volume(tmp_path / "scan.nii.gz")
    every = list(build(tmp_path, 2))
    for options in ({"slices": [3, 6]}, {"min_brain": 0.3}):
        part = list(build(tmp_path, 2, **options))
        assert 0 < len(part) < len(every)
        for item in part:
            (same,) = (other for other in every if torch.equal(other.image, item.image))
            assert torch.equal(same.neighbours, item.neighbours)


def test_items_of_several_axes_and_scans_have_neighbours_of_their_own_axis(folder):
    several = list(build(folder, space={"further_axes": ["sagittal"]}))
    single = [list(build(folder, space={"axis": axis})) for axis in ("axial", "sagittal")]
    expected = {(i.subject, i.place): i for items in single for i in items}
    assert len(several) == sum(map(len, single))
    for item in several:
        other = expected[item.subject, item.place]
        assert torch.equal(other.image, item.image)
        assert torch.equal(other.neighbours, item.neighbours)


def test_cached_neighbours_are_those_that_were_cut(folder, tmp_path):
    options = {"cache": str(tmp_path / "cache"), "min_brain": 0.3, "limit": 1}
    first, again, plain = (list(build(folder, n, **options)) for n in (1, 1, 0))
    for one, other, without in zip(first, again, plain, strict=True):
        assert torch.equal(one.neighbours, other.neighbours)
        assert torch.equal(one.image, without.image)
        assert without.neighbours is None


@pytest.mark.parametrize("slices", [None, (3, 7)])
def test_training_shows_the_neighbours_that_a_pipeline_does(tmp_path, slices):
    path = save_volume(tmp_path / "scan.nii.gz", data=np.pad(brain(3), ((0, 6), (5, 0), (0, 4))))
    data = build(tmp_path, 2, slices=slices)
    (stack,) = make_stacks(source := read_source(path), "axial", slices, 2)
    (window,) = measure_windows(source, data.space)
    x, mask, placement = data.space.place(stack.image, stack.brain, stack.spacing, stack.centre, window)
    beside = data.space.place_neighbours(x, mask, stack.neighbours, placement)
    assert torch.equal(beside, stack_neighbours(list(data)))


@pytest.mark.parametrize("axis", ["axial", "sagittal"])
def test_painted_slices_are_the_same_with_neighbours(maps, axis):
    plain, data = (build_labels(maps, n, axis) for n in (0, 1))
    for k in (3, len(data) // 2):
        old, item = (d.draw(k, generator_for(1, k)) for d in (plain, data))
        assert old.neighbours is None
        assert torch.equal(old.image, item.image)
        assert torch.equal(old.mask, item.mask)
        assert item.neighbours.shape == (2, 48, 48)
        assert not item.neighbours[:, item.mask[0] == 0].any()
        assert torch.equal(item.neighbours, data.draw(k, generator_for(1, k)).neighbours)


def test_painted_neighbours_are_other_slices_of_the_same_head(maps):
    """They are alike to the slice in shape and contrast, more so than slices of another draw."""
    data = build_labels(maps, 1, contrast="t1")
    item, other = (data.draw(len(data) // 2, generator_for(g)) for g in (0, 1))
    near, far = ((item.image - x).abs()[item.mask > 0].mean() for x in (item.neighbours[:1], other.image))
    assert 0 < float(near) < 0.5 * float(far)


def test_painted_slices_at_the_end_of_the_brain_repeat_it(maps):
    data = build_labels(maps, 1, min_brain=0.0)
    for k, edge in ((0, 0), (len(data) - 1, 1)):
        item = data.draw(k, generator_for(2, k))
        assert torch.equal(item.neighbours[edge], item.image[0])


def test_thick_slices_have_neighbours_a_thickness_away(maps):
    head = build_labels(maps, 1)._items[0][0]
    assert [head.count_planes(mm) for mm in (0.0, head.pitch, 2 * head.pitch, 100.0)] == [1, 1, 2, 5]


def test_single_images_have_no_neighbours(tmp_path):
    for k in range(4):
        save_image(tmp_path / "images" / f"sub-{k}.png", seed=k)
    space = SpaceConfig(size=16, neighbours=1)
    for name, options in (("images", {"root": str(tmp_path / "images")}), ("toy", {})):
        with pytest.raises(DataError, match=f"expected space.neighbours = 0 with the data set {name}"):
            DATASETS.build(name, **options, space=space)
    with pytest.raises(DataError, match=r"data\.parts\[0\]: expected space.neighbours = 0 .* images"):
        DATASETS.build("mix", parts=[{"name": "images", "root": str(tmp_path / "images")}], space=space)


def test_a_mix_hands_neighbours_on(folder, maps):
    parts = [{"name": "volumes", "root": str(folder)}, {"name": "labels", "root": str(maps)}]
    parts = [{**part, "shares": ALL} for part in parts]
    data = DATASETS.build("mix", parts=parts, space=SpaceConfig(size=16, neighbours=1))
    shapes = {tuple(data[k].neighbours.shape) for k in (0, len(data) - 1)}
    assert shapes == {(2, 16, 16)}


def test_a_stream_without_neighbours_gives_them_no_channels(folder):
    image, *_, neighbours = Stream(build(folder, 0), 0)[0]
    assert neighbours.shape == (0, *image.shape[1:])
    image, *_, neighbours = Stream(build(folder, 2), 0)[0]
    assert neighbours.shape == (4, *image.shape[1:])


@pytest.mark.parametrize("options", [{"axis": "volume", "neighbours": 1}, {"neighbours": -1}])
def test_spaces_without_room_for_neighbours_are_refused(options):
    with pytest.raises(ConfigError, match=r"space\.neighbours"):
        SpaceConfig(**options)


def test_heads_that_are_painted_whole_know_no_slices(maps):
    """Calibration and domain come from them, whatever slices a network is shown."""
    windows = {"window": (48, 40), "further_axes": ("sagittal",), "further_windows": ((40, 48),)}
    space = SpaceConfig(size=48, fov=200.0, neighbours=1, **windows)
    data = LabelMaps(str(maps), space=space, shares=ALL, contrast="t1")
    ((site, volume, brain_mask),) = data.read_scans()
    assert site == "painted t1"
    assert volume.data.shape[1:] == brain_mask.shape
