"""Masks on another grid than the map: an error, unless they may be brought to it."""

import numpy as np
import pytest

from diffad.cli import main
from diffad.data.volume import Volume, VolumeError
from diffad.evaluation.predictions import collect_predictions
from diffad.evaluation.protocols.prepare import ImageSet
from diffad.evaluation.resample import resample_mask
from diffad.registry import PROTOCOLS
from tests.evaluation.test_cohort import lesion, study
from tests.helpers.cohorts import AFFINE, SHAPE, inside, write

__all__ = ["study"]


def test_mask_at_half_the_voxels_finds_its_place(study):
    fine = np.kron(lesion(), np.ones((2, 2, 2), bool))
    half = AFFINE @ np.diag([0.5, 0.5, 0.5, 1])
    half[:3, 3] += AFFINE[:3, :3] @ np.full(3, -0.25)  # corners coincide, not centres
    write(study / "masks" / "s2_lesion.nii.gz", np.uint8(fine), half)
    with pytest.raises(VolumeError, match="grid"):
        list(collect_predictions(study / "maps", study / "masks").read())
    predictions = collect_predictions(study / "maps", study / "masks", resample=True)
    sample = {s.name: s for s in predictions.read()}["s2"]
    assert any("resampled" in warning for warning in predictions.warnings)
    expected = np.flip(lesion(), 0)  # maps are read in RAS
    assert (sample.truth == expected).all()


def test_mask_elsewhere_is_no_healthy_scan():
    away = AFFINE.copy()
    away[:3, 3] = 1000
    mask = Volume(np.ones((1, *SHAPE), np.float32), np.abs(AFFINE))
    like = Volume(np.ones((1, *SHAPE), np.float32), np.abs(away))
    with pytest.raises(VolumeError, match="overlaps"):
        resample_mask(mask, like, [])


def test_same_grid_is_left_alone():
    mask = Volume(np.ones((1, *SHAPE), np.float32), np.abs(AFFINE))
    warnings = []
    assert resample_mask(mask, mask, warnings) is mask
    assert warnings == []


def test_samples_are_the_scans_on_their_grid(study):
    predictions = collect_predictions(study / "maps", study / "masks")
    images = ImageSet(PROTOCOLS.build("stored"))
    for scan, sample in zip(predictions.scans, predictions.read(), strict=True):
        images.add(sample)
        assert scan.name == sample.name == sample.subject
        assert sample.scores.shape == SHAPE
        assert sample.axis == 2
        assert sample.spacing == (2, 2, 3)
        assert (sample.scores[sample.counted] == images.images[-1].scores).all()
        assert sample.brain.sum() == inside().sum()


def test_lesion_masks_without_a_prediction_are_listed(study):
    write(study / "masks" / "s9_lesion.nii.gz", np.uint8(lesion()))
    warnings = collect_predictions(study / "maps", study / "masks").warnings
    assert "lesion masks without a prediction: s9_lesion" in warnings


def test_map_with_nan_is_named(study, capsys):
    scores = np.full(SHAPE, np.nan, np.float32)
    write(study / "maps" / "s0_anomaly.nii.gz", scores)
    assert main(["evaluate", str(study / "maps"), "--masks", str(study / "masks")]) == 1
    assert "s0_anomaly.nii.gz" in capsys.readouterr().err
