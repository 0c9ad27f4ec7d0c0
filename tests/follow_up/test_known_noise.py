"""Which figures of re-scans are held against changes: measured, shipped or none, and what is said of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from diffad.follow_up import known_noise
from diffad.follow_up.noise import SHIPPED, RescanNoise, strip_request
from diffad.follow_up.noise_bins import Finding
from diffad.follow_up.options import FollowUpOptions
from diffad.follow_up.wording import explain_noise
from diffad.io.text import read_json
from diffad.predict.options import Options
from diffad.predict.request import collect_request
from diffad.predict.run import load_model
from diffad.predict.shelf import LoadedModel
from tests.helpers.visits import make_visit

VISITS = (make_visit(name="a"), make_visit(name="b", number=2))
OPTIONS = FollowUpOptions(Path("a_T1w.nii.gz"), Path("b_T1w.nii.gz"), Path("out"), "m")
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "follow_up.md"


def measure(pairs, lone):
    findings = [Finding((2.0, 2.1), 0.1)] * pairs + [Finding((2.0, 0.0), -1.0)] * lone
    return RescanNoise.of(findings, "test")


@pytest.fixture
def shipped(monkeypatch):
    """Figures that are shipped for any request."""
    known = measure(30, 30)
    monkeypatch.setattr(RescanNoise, "load_shipped", classmethod(lambda cls, request, contrast: known))
    return known


def test_shipped_figures_hold_for_the_tolerance_they_were_measured_with(shipped):
    assert known_noise.find_noise(OPTIONS, VISITS, "T1") == (shipped, [])
    assert known_noise.find_noise(replace(OPTIONS, tolerance_mm=5.0), VISITS, "T1") == (None, [])


@pytest.mark.parametrize("odd", [0, 1])
def test_shipped_figures_of_other_scans_are_doubted(shipped, odd):
    visits = [*VISITS]
    visits[odd] = replace(visits[odd], info=visits[odd].info | {"domain": {"status": "outside"}})
    noise, (warning,) = known_noise.find_noise(OPTIONS, tuple(visits), "T1")
    assert (noise, "measured on scans that the model knows" in warning) == (shipped, True)


@pytest.mark.parametrize(
    ("pairs", "lone", "few"), [(30, 30, False), (5, 30, True), (30, 2, True), (30, 0, False)]
)
def test_limits_of_few_findings_are_said(monkeypatch, shipped, pairs, lone, few):
    monkeypatch.setattr(known_noise, "_measure_noise", lambda options, first: measure(pairs, lone))
    noise, warnings = known_noise.find_noise(replace(OPTIONS, rescan=2), VISITS, "T1")
    assert noise == measure(pairs, lone)
    expected = f"rests on {pairs} findings in both of two scans and {lone} in one only"
    assert [expected in warning for warning in warnings] == [True] * few


def test_rescans_that_have_nothing_in_common_leave_the_noise_unknown(monkeypatch, shipped):
    monkeypatch.setattr(known_noise, "_measure_noise", lambda options, first: None)
    noise, (warning,) = known_noise.find_noise(replace(OPTIONS, rescan=2), VISITS, "T1")
    assert (noise, "their noise is unknown" in warning) == (None, True)


def test_shipped_figures_are_those_of_the_shipped_model_and_its_usual_settings():
    options = Options(precision="bf16")
    model = LoadedModel.of(load_model("brain-any", "cpu"), options)
    files = {"scan": [], "mask": None, "region": None}
    request = collect_request(model.digest, options, model.method, None, files)
    assert strip_request(request) == read_json(SHIPPED)["request"]
    noise = RescanNoise.load_shipped(strip_request(request), "T1")
    assert sum(size_bin.findings for size_bin in noise.bins) > 100
    assert noise.lone_count == sum(size_bin.lost_count for size_bin in noise.bins)


def test_guide_has_the_shipped_figures():
    text = " ".join(GUIDE.read_text(encoding="utf-8").split())
    noise = RescanNoise.from_dict(read_json(SHIPPED)["contrasts"]["T1"])
    assert noise.source in text
    assert all(line in text for line in explain_noise(noise)[1:])
