"""Odd scans are outside what a model knows, and harmless changes are not."""

import numpy as np
import pytest
import torch

from diffad.data.volume import Volume
from diffad.inference.features import measure_features
from diffad.inference.known import KnownScans
from diffad.inference.side_gaps import measure_side_gap
from diffad.inference.tissues import TissueContrast
from tests.helpers.odd_scans import HARMLESS, ODD, Scan, zoom
from tests.inference.test_known import draw_scan, features_of

UNSEEN = ("ghosts of motion", "7 T: strong bias, sharp")
OF_OTHERS = ("few grey values", "z-scored")
"""What reading and the intensity window say."""
OF_REAL_BRAINS = ("no cerebellum", "heavy blur")
"""What a drawn brain, which is smooth, hardly shows."""


@pytest.fixture(scope="module")
def known():
    return KnownScans.of([features_of(seed=i, scale=0.96 + 0.01 * i) for i in range(9)])


def draw():
    volume, brain = draw_scan(seed=40)
    return Scan(volume.data[0], brain.numpy(), tuple(volume.spacing))


def list_reasons(known, scan):
    volume = Volume(scan.data[None], np.diag([*scan.spacing, 1.0]))
    return known.list_reasons(measure_features(volume, torch.from_numpy(scan.brain)))


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_changes_are_inside(known, name):
    assert list_reasons(known, HARMLESS[name](draw())) == []


@pytest.mark.parametrize("name", [n for n in ODD if n not in UNSEEN + OF_OTHERS + OF_REAL_BRAINS])
def test_odd_scans_are_outside(known, name):
    assert list_reasons(known, ODD[name](draw()))


def test_a_resection_and_noise_are_named(known):
    for name, words in {
        "resection of 60 ml": "one side of its brain lacks",
        "heavy noise": "the noise of",
    }.items():
        assert any(words in reason for reason in list_reasons(known, ODD[name](draw())))


def test_brain_as_large_as_the_template_is_inside(known):
    scan = draw()
    litres = scan.brain.sum() * np.prod(scan.spacing) / 1e6
    assert (
        list_reasons(known, zoom((1.12 * known.ranges["volume"][1] / 1000 / litres) ** (1 / 3))(scan)) == []
    )


@pytest.mark.parametrize("fluid", [0.2, 0.9])
def test_gap_is_the_volume_that_one_side_lacks(fluid):
    means, cover = torch.full((40, 40, 40), 0.7), torch.ones(40, 40, 40)
    tissues = TissueContrast(fluid, 0.6, 0.7)
    assert measure_side_gap(means, cover, tissues, 64.0) == 0
    means[26:34, 10:20, 10:20] = 0.1
    gap = measure_side_gap(means, cover, tissues, 64.0)
    assert gap == pytest.approx(0.8 if fluid < 0.5 else 0, abs=1e-4)  # dark is no gap where fluid is bright
    cover[26:34, 10:20, 10:20] = 0
    assert measure_side_gap(means, cover, tissues, 64.0) == pytest.approx(0.8, abs=1e-4)
