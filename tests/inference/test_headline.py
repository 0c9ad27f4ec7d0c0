"""What is said of a result before all else, and what it amounts to."""

import pytest
import torch

from diffad.inference.domain import DomainCheck
from diffad.inference.flagged import FlaggedShare, format_share
from diffad.inference.headline import Coverage, judge_result, list_headlines, make_headline
from diffad.inference.scope import ModelScope
from diffad.inference.stack import Stack

SCOPE = ModelScope("toy", "MRI", "axial slices", "not stated", "calibrated on 9 healthy scans")


def flagged(share, expected=0.01):
    return FlaggedShare(share, 0.1, expected, int(share > 0.1), 1)


def compared(p_value, scans=58):
    return {"p_value": p_value, "floor": 1 / (scans + 1), "scans": scans}


@pytest.mark.parametrize(
    ("share", "comparison", "has_detections", "kind"),
    [
        (0.23, None, True, "not credible"),
        (0.23, compared(1 / 59), True, "not credible"),
        (0.005, None, True, "nothing"),
        (0.03, None, True, "detections"),
        (0.03, None, False, "nothing"),
        (0.03, compared(0.4), True, "nothing"),
        (0.03, compared(1 / 59), True, "detections"),
        (0.0, compared(1 / 59), False, "unusual"),
        (0.03, compared(0.1, scans=9), True, "detections"),
    ],
)
def test_verdict_follows_from_shares_and_healthy_scans(share, comparison, has_detections, kind):
    verdict, text = judge_result(flagged(share), comparison, has_detections)
    assert verdict == kind
    assert ("nothing above what healthy scans show" in text) == (kind == "nothing")
    assert ("no person has judged" in text) == (kind == "detections")


@pytest.mark.parametrize(
    ("share", "amount"), [(0.011, "about as much is flagged as"), (0.02, "more is flagged than")]
)
def test_a_little_more_than_expected_is_not_called_more(share, amount):
    text = judge_result(FlaggedShare(share, 0.1, 0.01, 0, 1), None, True)[1]
    assert text == f"detections, and {amount} in healthy scans; no person has judged them"


def test_model_without_calibration_is_not_held_against_healthy_scans():
    assert judge_result(flagged(0.0, None), None, False)[1] == "nothing above the threshold"
    assert judge_result(flagged(0.03, None), None, True)[1] == "detections; no person has judged them"


def test_share_of_slices_and_brain_is_said():
    brain = torch.zeros(1, 1, 8, 8, 10, dtype=torch.bool)
    brain[..., 2:8, 2:8, 1:9] = True
    analysed = brain.clone()
    analysed[..., 3:] = False
    stack = Stack(torch.zeros(2, 1, 8, 8), torch.ones(2, 1, 8, 8, dtype=torch.bool), [1, 2])
    assert (
        str(Coverage.measure(brain, analysed, [[stack]], ["axial"]))
        == "2 of 8 axial slices, 25 % of the brain"
    )
    assert str(Coverage.measure(brain, brain, [[stack]], ["volume"])) == "2 images, all of the brain"


def test_headline_says_model_first_and_result_last():
    domain = DomainCheck(True, 0.01, reasons=("it is an orange",))
    info = make_headline(SCOPE, Coverage(9, 157, "axial", 0.06), domain, flagged(0.23), None, True)
    labels = [label for label, _ in list_headlines(info)]
    assert labels[0] == "Model"
    assert labels[-1] == "Result"
    texts = dict(list_headlines(info))
    assert texts["Outside what it knows"] == "it is an orange"
    assert texts["Analysed"] == "9 of 157 axial slices, 6 % of the brain"
    assert "not credible" in texts["Flagged"]
    assert info["flagged"]["credible"] is False
    assert list_headlines({}) == []


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (1e-5, "under 0.1 %"), (0.063, "6.3 %"), (0.23, "23 %")]
)
def test_shares_are_written_in_percent(share, text):
    assert format_share(share) == text


def test_poor_scans_are_not_judged_whatever_they_show():
    for has_detections in (True, False):
        kind, text = judge_result(flagged(0.23), compared(1 / 59), has_detections, True, ["motion", "noise"])
        assert kind == "poor scan"
        assert text.startswith("not judged, as the scan is poor: motion, noise")
        assert ("artefacts" in text) == has_detections
