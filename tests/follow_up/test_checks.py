"""Visits that cannot be compared are refused by name, and what is odd about others is said."""

from dataclasses import replace

import numpy as np
import pytest

from diffad.data.volume import VolumeError
from diffad.follow_up import checks
from diffad.follow_up.alignment import Alignment
from diffad.follow_up.oddities import list_visit_warnings
from diffad.follow_up.sidecar import describe_interval, find_dates, list_scanner_warnings
from diffad.inference.scan_contrast import ScanContrast
from tests.helpers.visits import PLACE, make_visit

FIRST, SECOND = make_visit([(PLACE, 8.0)], name="a"), make_visit(name="b", gain=1.1, number=2)
GOOD = Alignment(np.eye(4), 1.0, 2.0, 0.1, 0.98, 0.98)


def with_info(visit, **info):
    return replace(visit, info=visit.info | info)


def test_usual_visits_have_no_warnings():
    assert list_visit_warnings(FIRST, SECOND) == []
    assert checks.check_alignment(GOOD, FIRST, SECOND) == []
    checks.check_visit_models(FIRST, SECOND)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"agreement": 0.9}, "fit together less well"),
        ({"disagreement_mm": 3.0}, "uncertain by up to 3.0 mm"),
        ({"dice": 0.9}, "overlap by a Dice of 0.90"),
    ],
)
def test_doubtful_registrations_are_said(changes, words):
    (warning,) = checks.check_alignment(replace(GOOD, **changes), FIRST, SECOND)
    assert words in warning


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"agreement": 0.8}, "two visits of one person, found edges that agree by 0.80"),
        ({"disagreement_mm": 9.0}, "can be registered rigidly"),
    ],
)
def test_different_people_and_failed_registrations_are_refused(changes, words):
    with pytest.raises(VolumeError, match=words) as error:
        checks.check_alignment(replace(GOOD, **changes), FIRST, SECOND)
    assert "a_T1w.nii.gz and b_T1w.nii.gz" in str(error.value)


def test_somebody_may_vouch_for_the_person_but_not_for_the_registration():
    (warning,) = checks.check_alignment(replace(GOOD, agreement=0.8), FIRST, SECOND, same_person=True)
    assert "may be of two people" in warning
    with pytest.raises(VolumeError, match="rigidly"):
        checks.check_alignment(replace(GOOD, disagreement_mm=9.0), FIRST, SECOND, same_person=True)


def test_the_same_scan_is_named():
    (warning,) = list_visit_warnings(FIRST, replace(FIRST, number=2))
    assert warning == (
        "visit 1 (a_T1w.nii.gz) and visit 2 (a_T1w.nii.gz) are the same scan, so that everything is stable"
    )


def test_other_resolution_is_said_with_both():
    (warning,) = list_visit_warnings(FIRST, make_visit(spacing=4.0))
    assert "3.00 x 3.00 x 3.00 mm and 4.00 x 4.00 x 4.00 mm" in warning


def test_skull_on_one_side_only_is_said():
    volume = SECOND.volume
    head = replace(volume, data=np.where(SECOND.brain, volume.data, 60.0))
    (warning,) = list_visit_warnings(FIRST, replace(SECOND, volume=head))
    assert "visit 1 (a_T1w.nii.gz) comes without its skull and visit 2 (b_T1w.nii.gz) with it" in warning


def test_visit_outside_the_domain_is_named_with_the_reason():
    outside = with_info(SECOND, domain={"status": "outside", "reasons": ["too dark"]})
    (warning,) = list_visit_warnings(FIRST, outside)
    assert "visit 2 (b_T1w.nii.gz) is outside what the model knows: too dark; the other is not" in warning
    both = list_visit_warnings(with_info(FIRST, domain=outside.info["domain"]), outside)
    assert [w.startswith(f"visit {n}") for n, w in enumerate(both, 1)] == [True, True]


def test_what_the_results_say_is_said_with_the_visit():
    poor = with_info(SECOND, warnings=["outside what the model knows: x", "poor: noise", "odd header"])
    warnings = list_visit_warnings(with_info(FIRST, warnings=["odd header"]), poor)
    assert warnings == ["both visits: odd header", "visit 2 (b_T1w.nii.gz): poor: noise"]


def test_other_models_and_settings_are_refused():
    other = with_info(SECOND, request={"model": "n", "seed": 0, "scan": ["x"]})
    with pytest.raises(ValueError, match="looked at alike, found other model"):
        checks.check_visit_models(FIRST, other)


def contrasts(monkeypatch, first, second):
    found = iter((first, second))
    monkeypatch.setattr(checks, "read_contrast", lambda visit: next(found))
    return checks.check_visit_contrasts(FIRST, SECOND)


def test_different_sequences_are_refused(monkeypatch):
    with pytest.raises(VolumeError, match="visits of one sequence, found T1 and FLAIR"):
        contrasts(monkeypatch, ScanContrast("T1"), ScanContrast("FLAIR"))


def test_unknown_sequence_and_one_enhanced_visit_are_said(monkeypatch):
    assert contrasts(monkeypatch, ScanContrast("T1"), ScanContrast("T1", "T1w")) == ("T1", [])
    contrast, (warning,) = contrasts(monkeypatch, ScanContrast("T1"), ScanContrast())
    assert (contrast, "visit 2 (b_T1w.nii.gz): the sequence is unknown" in warning) == ("T1", True)
    enhanced = ScanContrast("T1", "T1", "its name says a contrast agent (ce)")
    _, (warning,) = contrasts(monkeypatch, enhanced, ScanContrast("T1"))
    assert "visit 1 (a_T1w.nii.gz) looks like a scan after a contrast agent" in warning


def test_dates_come_from_options_or_files_and_their_absence_is_said():
    files = [{"AcquisitionDateTime": "2023-01-01T10:00:00"}, {"AcquisitionDate": "20230131"}]
    assert describe_interval(find_dates(files)) == (30, [])
    assert describe_interval(find_dates(files, ["2023-01-01", "2024-01-01"])) == (365, [])
    days, (warning,) = describe_interval(find_dates([{}, files[1]]))
    assert (days, "dates of the visits are unknown" in warning) == (None, True)
    days, (warning,) = describe_interval(find_dates(files[::-1]))
    assert (days, "is before the first" in warning) == (-30, True)
    with pytest.raises(ValueError, match="dates: expected dates as 2024-03-05, got 'May'"):
        find_dates(files, ["May", "2024-01-01"])


def test_different_scanners_are_said_where_both_are_known():
    files = [
        {"Manufacturer": "A", "MagneticFieldStrength": 1.5},
        {"Manufacturer": "A", "MagneticFieldStrength": 3},
    ]
    (warning,) = list_scanner_warnings(files)
    assert "(A 1.5; A 3)" in warning
    assert list_scanner_warnings([files[0], {}]) == []
    assert list_scanner_warnings([files[0], dict(files[0])]) == []
