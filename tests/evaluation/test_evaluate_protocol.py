"""Protocols on the command line: on top of the plain figures, into the JSON, by name."""

import json

import numpy as np

from diffad.cli import main
from diffad.evaluation.predictions import collect_predictions
from diffad.evaluation.protocols.evaluate import evaluate_samples
from tests.evaluation.test_cohort import lesion, study
from tests.helpers.cohorts import AFFINE, write

__all__ = ["study"]


def words(study, *more):
    return ["evaluate", str(study / "maps"), "--masks", str(study / "masks"), *more]


def test_figures_of_a_protocol_are_shown_and_written(study, tmp_path, capsys):
    out = tmp_path / "scores.json"
    more = ["--protocol", "diffad", "--protocol", "kascenas", "--folds", "2", "--out", str(out)]
    assert main(words(study, *more)) == 0
    told = capsys.readouterr().out
    assert "protocol diffad" in told
    assert "protocol kascenas" in told
    found = json.loads(out.read_text())["protocols"]
    assert list(found) == ["diffad", "kascenas"]
    samples = list(collect_predictions(study / "maps", study / "masks").read())
    expected = evaluate_samples(samples, "diffad", folds=2)
    assert found["diffad"]["figures"]["pixel_ap"]["value"] == expected.figures["pixel_ap"].value
    assert found["diffad"]["settings"]["threshold"] == "healthy"
    assert len(found["diffad"]["samples"]) == 4


def test_unknown_protocol_fails_before_anything_is_read(study, capsys):
    assert main(words(study, "--protocol", "bmda")) == 1
    assert "did you mean 'bmad'" in capsys.readouterr().err


def test_masks_of_other_grids_only_on_request(study, capsys):
    shifted = AFFINE.copy()
    shifted[0, 3] += 2
    write(study / "masks" / "s2_lesion.nii.gz", np.uint8(lesion()), shifted)
    assert main(words(study)) == 1
    assert "s2_lesion.nii.gz" in capsys.readouterr().err
    assert main(words(study, "--resample")) == 0
    assert "resampled to the grid" in capsys.readouterr().err
