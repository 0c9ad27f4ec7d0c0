"""A scan with negative values keeps its whole brain, or is refused by name."""

import numpy as np
import pytest
import torch

from diffad.config import SpaceConfig
from diffad.data.scan_slices import read_scan
from diffad.data.space import Space
from diffad.data.volume import Volume, VolumeError
from diffad.data.volumes import Volumes
from diffad.data.zero import find_background, find_zero
from tests.helpers.cohorts import brain, inside, write

KEPT, BOTH = SpaceConfig(size=24), SpaceConfig(size=24, low=1.0)


def zscored(data, mask=None):
    mask = data != 0 if mask is None else mask
    return np.where(mask, (data - data[mask].mean()) / data[mask].std(), 0).astype(np.float32)


def place(data, config=KEPT):
    """Bring a scan (I, J, K) to the model, as a pipeline does."""
    volume, mask = read_scan(Volume(data[None], np.eye(4)))
    space, image, region = Space(config), torch.from_numpy(volume.data), torch.from_numpy(mask)[None]
    window = space.window(image, region)
    axial = image.permute(3, 0, 1, 2), region.permute(3, 0, 1, 2)
    return space.place(*axial, window=window)[0], volume.warnings


def test_zscored_scan_is_as_the_raw_one_where_both_ends_are_percentiles():
    raw = brain()
    torch.testing.assert_close(place(zscored(raw), BOTH)[0], place(raw, BOTH)[0], rtol=0, atol=1e-5)


def test_zscored_scan_is_refused_where_the_zero_is_to_be_kept():
    with pytest.raises(VolumeError, match=r"found 5\d% of it below 0, from -\d.*space.low=1"):
        place(zscored(brain()))


def test_zero_inside_a_zscored_brain_is_brain():
    data = zscored(brain())
    data[12, 14, 5] = 0
    assert read_scan(Volume(data[None], np.eye(4)))[1][12, 14, 5]


@pytest.mark.parametrize(("scale", "shift"), [(2 / 120, -1.0), (1.0, -300.0), (0.5, 7.0)])
def test_constant_background_is_the_zero_of_a_scan_that_was_shifted_as_a_whole(scale, shift):
    raw = brain()
    image, warnings = place((raw * scale + shift).astype(np.float32))
    torch.testing.assert_close(image, place(raw)[0], rtol=0, atol=1e-4)
    assert "its background is" in warnings[0]
    mask = read_scan(Volume((raw * scale + shift)[None], np.eye(4)))[1]
    np.testing.assert_array_equal(mask, inside())


def test_background_is_known_though_the_box_or_the_mask_is_tight():
    raw = brain() - 300
    box = np.nonzero(inside())
    tight = raw[box[0].min() :, :, box[2].min() : box[2].max() + 1]
    volume, mask = read_scan(Volume(tight[None].astype(np.float32), np.eye(4)))
    assert "its background is -300" in volume.warnings[0]
    assert mask.sum() == inside().sum()
    values = raw[inside()]
    assert find_zero(np.append(values, -300), np.full(10, -300.0)) == -300


def test_inverted_contrast_is_said():
    _, warnings = place((200 - brain()).astype(np.float32))
    assert any("inverted contrast" in warning for warning in warnings)


def test_a_little_ringing_keeps_the_zero():
    values = np.concatenate([np.full(5, -3.0), np.linspace(50, 100, 995)])
    assert find_zero(values, np.zeros(10)) == 0
    assert find_background(np.array([])) is None


def test_training_on_zscored_scans_is_refused_unless_both_ends_are_percentiles(tmp_path):
    path = write(tmp_path / "a.nii.gz", zscored(brain()))
    with pytest.raises(ValueError, match=f"{path}: expected a brain of at least 0"):
        Volumes(str(tmp_path), space=KEPT, shares={"train": 1.0})
    data = Volumes(str(tmp_path), space=BOTH, shares={"train": 1.0})
    assert 0.2 < float(data[2].image[data[2].mask > 0].mean()) < 0.8
