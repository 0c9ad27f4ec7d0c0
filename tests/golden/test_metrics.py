"""Two small cases with known answers."""

import numpy as np
import pytest
from sklearn.metrics import auc, precision_recall_curve

from diffad.evaluation import ProCurve, RankCurve
from diffad.evaluation.metrics.pro import coarse_aupro


@pytest.fixture
def two_maps():
    scores = (np.arange(50) / 100).reshape(2, 5, 5)
    truth = np.zeros((2, 5, 5), dtype=bool)
    truth[0, 0, 0] = True
    truth[0, 2:4, 2:4] = True
    overrides = {(0, 0): 0.90, (2, 2): 0.80, (2, 3): 0.70, (3, 2): 0.05, (3, 3): 0.60, (4, 4): 0.75}
    for index, value in overrides.items():
        scores[0][index] = value
    scores[1, 0, 0], scores[1, 4, 4] = 0.95, 0.65
    return scores, truth


def test_four_scores():
    curve = RankCurve.of([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    assert curve.auroc() == 0.75
    assert curve.average_precision() == pytest.approx(0.8333333, abs=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_five_by_five_maps(two_maps, dtype):
    scores, truth = two_maps
    curve = RankCurve.of(scores.astype(dtype), truth)
    assert curve.negatives == 45
    assert curve.auroc() == pytest.approx(0.7888889, abs=1e-7)
    assert curve.average_precision() == pytest.approx(0.4893582, abs=1e-7)
    assert curve.best_dice().dice == pytest.approx(0.6666667, abs=1e-7)
    assert curve.best_dice().threshold == dtype(0.60)


def test_regions_of_two_five_by_five_maps(two_maps):
    curve = ProCurve.of(*two_maps)
    assert curve.regions == 2
    assert curve.area(0.05) == pytest.approx(0.3611111, abs=1e-7)
    assert curve.area(0.3) == pytest.approx(0.7824074, abs=1e-7)
    assert curve.area(1.0) == pytest.approx(0.8597222, abs=1e-7)
    assert coarse_aupro(*two_maps) == pytest.approx(0.778846, abs=1e-6)


def test_trapezoids_are_not_average_precision():
    scores, truth = [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]
    precision, recall, _ = precision_recall_curve(truth, scores)
    assert auc(recall, precision) == pytest.approx(0.7916667, abs=1e-7)
    assert RankCurve.of(scores, truth).average_precision() == pytest.approx(0.8333333, abs=1e-7)
