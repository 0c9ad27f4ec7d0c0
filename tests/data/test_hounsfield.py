"""A CT on a foreign scale is told by name, whatever its padding and its mask."""

import numpy as np
import pytest

from diffad.config import SpaceConfig
from diffad.data.hounsfield import check_brain_units, guess_units
from diffad.data.volume import VolumeError
from diffad.data.volumes import Volumes
from tests.helpers.cohorts import inside, write

SHAPE = (24, 28, 20)


def ct(padding=None, stripped=False):
    """A head of brain, skull and scalp on air, with the corners of a round field filled; and its brain."""
    rng = np.random.default_rng(0)
    brain = inside(SHAPE)
    grown = [np.roll(brain, s, a) for a in range(3) for s in (-1, 1)]
    skull = np.any(grown, 0) & ~brain
    image = np.full(SHAPE, -1000.0) + rng.normal(0, 5, SHAPE)
    image[skull] = 900
    image[brain] = 33 + rng.normal(0, 8, int(brain.sum()))
    image = np.where(brain, image, 0.0) if stripped else image
    if padding is not None:
        image[:3] = padding
    return image.astype(np.float32), brain


WRONG = {
    "offset": lambda x: x + 1024,
    "bytes": lambda x: np.clip((x + 1000) / 2000 * 255, 0, 255).round(),
    "unit": lambda x: np.clip((x + 20) / 120, 0, 1),
}


@pytest.mark.parametrize("padding", [None, -2000.0, -3024.0])
def test_hounsfield_units_are_known_with_and_without_padding(padding):
    image, brain = ct(padding)
    assert guess_units(image) == "hu"
    check_brain_units(image, brain, (0, 80))
    assert guess_units(ct(stripped=True)[0]) == "stripped"


@pytest.mark.parametrize("padding", [-2000.0, -1000.0])
def test_padding_does_not_hide_an_offset(padding):
    image = ct()[0] + 1024
    image[:3] = padding
    assert guess_units(image) == "offset"


@pytest.mark.parametrize("stripped", [False, True])
@pytest.mark.parametrize("kind", WRONG)
def test_brain_on_another_scale_is_refused_by_name(kind, stripped):
    image, brain = ct(stripped=stripped)
    image = WRONG[kind](image) * (brain if stripped else 1)
    words = {"offset": "offset of -1024", "bytes": "8 bits", "unit": r"scaled to 0\.\.1"}
    with pytest.raises(VolumeError, match=f"window is 0 to 80, found a brain .*{words[kind]}"):
        check_brain_units(image, brain, (0, 80))


def test_mask_of_air_and_scans_of_other_kinds_are_refused():
    image, brain = ct()
    with pytest.raises(VolumeError, match="check the brain mask"):
        check_brain_units(image, np.ones(SHAPE, bool), (0, 80))
    with pytest.raises(VolumeError, match="as in an MRI"):
        check_brain_units(image * 0 + np.where(brain, 400 + 30 * np.sin(np.arange(20)), 0), brain, (0, 80))


def test_offset_is_known_without_a_mask_though_air_looks_like_brain_then():
    with pytest.raises(VolumeError, match="offset of -1024"):
        check_brain_units(ct()[0] + 1024, np.ones(SHAPE, bool), (0, 80))


def test_head_in_even_air_is_no_brain():
    image, brain = ct()
    head = (image > -900) | brain
    with pytest.raises(VolumeError, match="give one with --mask"):
        check_brain_units(image, head, (0, 80))


def test_scan_far_from_any_tissue_is_not_called_one_in_hounsfield_units():
    image, brain = ct()
    with pytest.raises(VolumeError, match="as in an MRI or a scaled CT"):
        check_brain_units(image - 8192, brain, (0, 80))


def test_window_of_a_users_own_is_not_taken_for_one_of_brains():
    image, brain = ct()
    check_brain_units(image + 1024, brain, (1024, 1104))
    check_brain_units(image * 0.5 + 110, brain, (0, 255))


@pytest.mark.parametrize("kind", WRONG)
def test_training_refuses_a_ct_on_another_scale(tmp_path, kind):
    image, brain = ct()
    path = write(tmp_path / "a.nii.gz", WRONG[kind](image).astype(np.float32))
    write(tmp_path / "a_mask.nii.gz", brain.astype(np.uint8))
    space = SpaceConfig(size=24, intensity="ct")
    with pytest.raises(ValueError, match=f"{path}: expected a CT in Hounsfield units"):
        Volumes(str(tmp_path), space=space, mask="*_mask.nii.gz", shares={"train": 1.0})
