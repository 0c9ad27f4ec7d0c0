"""What is odd about a scan is in its warnings, once."""

import warnings

import numpy as np
import pytest

from diffad.data.grouping import group_warnings
from diffad.data.layouts.check import check_dataset
from diffad.data.oddities import list_oddities
from diffad.data.scan_slices import read_scan
from diffad.data.volume import Volume
from diffad.data.volumes import Volumes
from tests.helpers.cohorts import brain, inside, write

AFFINE = np.diag([2.0, 2, 3, 1])


def odd(data, mask=None):
    return list_oddities(Volume(data[None], AFFINE), inside() if mask is None else mask)


def test_plain_brain_has_none():
    assert odd(brain()) == []


def test_labels_are_no_scan():
    labels = np.digitize(brain(), [105, 110, 115]).astype(np.float32) * inside()
    assert "as labels have and scans do not" in odd(labels)[0]


def test_few_grey_values_are_said_whatever_their_scale():
    labels = np.digitize(brain(), [105, 110, 115]).astype(np.float32) * inside()
    assert "different values only" in odd(labels / 3.7)[0]


@pytest.mark.parametrize("factor", [0.1, 1.0, 30.0])
def test_centimetres_for_mm_are_said(factor):
    warnings = list_oddities(Volume(brain()[None], AFFINE @ np.diag([*[factor] * 3, 1])), inside())
    assert any("given in another unit" in warning for warning in warnings) == (factor != 1)


@pytest.mark.parametrize("value", [0.0, 77.0])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_missing_slices_are_said(axis, value):
    data, middle = brain(), inside().shape[axis] // 2
    index = tuple(middle if a == axis else slice(None) for a in range(3))
    data[index] = value * inside()[index]
    (warning,) = odd(data, data != 0)
    plane = ("sagittal", "coronal", "axial")[axis]
    assert warning.startswith(f"1 {plane} slices ({middle} is the first)")


@pytest.mark.parametrize("mask", [None, np.ones(inside().shape, np.uint8)])
def test_head_is_said_with_and_without_a_mask(mask):
    scalp = np.random.default_rng(0).random(inside().shape)
    volume, region = read_scan(Volume((brain() + scalp)[None], AFFINE), mask)
    assert any("does not look skull-stripped" in warning for warning in volume.warnings)
    again, _ = read_scan(volume, region)
    assert again.warnings == volume.warnings


def test_training_says_each_kind_once_on_every_start(tmp_path):
    scalp = np.random.default_rng(0).random(inside().shape, np.float32)
    for i in range(3):
        write(tmp_path / "scans" / f"sub-{i}.nii.gz", brain(i) + (scalp if i else 0))
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            Volumes(str(tmp_path / "scans"), cache=str(tmp_path / "cache"), shares={"train": 1.0})
        told = [str(w.message) for w in caught if "skull-stripped" in str(w.message)]
        assert len(told) == 1
        assert told[0].startswith("2 of 3 scans, for example ")


def test_check_of_a_data_set_notes_heads(tmp_path):
    scalp = np.random.default_rng(0).random(inside().shape, np.float32)
    for i in range(3):
        write(tmp_path / f"sub-{i}_T1w.nii.gz", brain(i) + (scalp if i == 2 else 0))
    table = "path,subject\n" + "".join(f"sub-{i}_T1w.nii.gz,sub-{i}\n" for i in range(3))
    (tmp_path / "scans.csv").write_text(table)
    report = check_dataset(tmp_path / "scans.csv", "table")
    assert report.problems == []
    assert sum("does not look skull-stripped" in note for note in report.notes) == 1


def test_warnings_of_one_kind_are_one_sentence():
    heads = {f"s{i}.nii": [f"{i}.5 litres fill {i}% of the field"] for i in range(3)}
    masks = {f"m{i}.nii": [f"/data/m{i}_mask.nii.gz: the brain mask covers it"] for i in range(2)}
    assert group_warnings(heads | masks, 40) == [
        "3 of 40 scans, for example s0.nii: 0.5 litres fill 0% of the field",
        "2 of 40 scans, for example m0.nii: the brain mask covers it",
    ]


def test_mask_on_the_background_of_its_scan_is_said():
    shift = np.roll(inside(), 3, 0)
    for background in (0.0, -7.0):
        data = np.where(inside(), brain(), np.float32(background))
        assert any("of its brain mask lies on the background" in warning for warning in odd(data, shift))
        assert odd(data) == []
    noise = brain() + np.random.default_rng(0).random(inside().shape)
    assert not any("background" in warning for warning in odd(noise.astype(np.float32), shift))
