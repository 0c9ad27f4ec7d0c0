"""What re-scans say: limits by size, and how often findings come or go."""

import json
import math

import numpy as np
import pytest

from diffad.follow_up import noise
from diffad.follow_up.noise import RescanNoise, strip_request
from diffad.follow_up.noise_bins import Finding, size_pair


def measure(pairs):
    return [Finding(pair, 0.1) for pair in pairs]


def draw_pairs(volume_ml, sd, count, lost=0):
    rng = np.random.default_rng(0)
    ratios = np.exp(rng.normal(0, sd, count))
    pairs = [(volume_ml * math.sqrt(r), volume_ml / math.sqrt(r)) for r in ratios]
    return measure(pairs + [(volume_ml, 0.0)] * lost)


def test_limit_is_that_of_95_percent_of_the_pairs_of_a_size():
    known = RescanNoise.of(draw_pairs(0.1, 0.5, 400, 100) + draw_pairs(5, 0.1, 400), "test")
    small, large = known.find_bin(0.1), known.find_bin(5)
    assert small.log_limit == pytest.approx(0.5 * 1.96, rel=0.1)
    assert large.log_limit == pytest.approx(0.1 * 1.96, rel=0.1)
    assert (small.pairs, small.findings, small.loss_share) == (400, 500, 0.2)
    assert large.loss_share == 0


def test_few_pairs_are_taken_together_and_the_largest_of_them_is_the_limit():
    known = RescanNoise.of(measure([(1.0, 1.5), (8.0, 8.1), (0.1, 0.1)]), "test")
    assert len(known.bins) == 1
    assert (known.bins[0].low_ml, known.bins[0].high_ml) == (0.0, math.inf)
    assert known.find_bin(100.0).log_limit == pytest.approx(math.log(1.5), abs=1e-4)


def test_sizes_cover_everything_without_a_gap():
    known = RescanNoise.of(draw_pairs(0.1, 0.5, 25) + draw_pairs(2, 0.2, 25) + draw_pairs(20, 0.1, 3), "test")
    assert known.bins[0].low_ml == 0
    assert math.isinf(known.bins[-1].high_ml)
    assert all(a.high_ml == b.low_ml for a, b in zip(known.bins, known.bins[1:], strict=False))
    assert sum(b.pairs for b in known.bins) == 53


def test_nothing_in_common_says_nothing():
    assert RescanNoise.of(measure([(1.0, 0.0), (0.0, 2.0)]), "test") is None
    assert RescanNoise.of([], "test") is None


def test_size_of_a_pair():
    assert size_pair((2.0, 8.0)) == 4
    assert size_pair((0.0, 3.0)) == 3


def test_record_comes_back_as_it_was():
    known = RescanNoise.of(draw_pairs(0.1, 0.5, 30, 5) + draw_pairs(5, 0.1, 30), "test")
    assert RescanNoise.from_dict(json.loads(json.dumps(known.to_dict()))) == known


def test_shipped_figures_belong_to_one_model_its_settings_and_contrasts(tmp_path, monkeypatch):
    request = {"model": "a", "threshold": None, "scan": ["x"], "seed": 3, "prepare": {"bias": True}}
    known = RescanNoise.of(draw_pairs(1.0, 0.2, 30), "test")
    stored = {"request": strip_request(request), "contrasts": {"T1": known.to_dict()}}
    path = tmp_path / "noise.json"
    path.write_text(json.dumps(stored))
    monkeypatch.setattr(noise, "SHIPPED", path)
    other_scan = strip_request(request | {"scan": ["y"], "seed": 0})
    assert RescanNoise.load_shipped(other_scan, "T1") == known
    assert RescanNoise.load_shipped(other_scan, "FLAIR") is None
    assert RescanNoise.load_shipped(strip_request(request | {"model": "b"}), "T1") is None
    assert RescanNoise.load_shipped(strip_request(request | {"threshold": 2.0}), "T1") is None


def test_damaged_figures_are_not_used(tmp_path, monkeypatch):
    path = tmp_path / "noise.json"
    path.write_text(
        '{"request": {}, "contrasts": {"T1": {"source": "x", "lone_limit": 1, "lone_count": 0, "bins": 0}}}'
    )
    monkeypatch.setattr(noise, "SHIPPED", path)
    assert RescanNoise.load_shipped({}, "T1") is None


def test_limit_of_the_map_is_that_of_findings_of_one_scan_alone():
    lone = [Finding((2.0, 0.0), -change) for change in np.linspace(0, 4, 101)]
    both = [Finding((2.0, 2.1), 50.0)] * 30
    known = RescanNoise.of(lone + both, "test")
    assert known.lone_limit == pytest.approx(3.8, abs=0.05)
    assert known.lone_count == 101
    assert RescanNoise.of(both, "test").lone_limit is None
