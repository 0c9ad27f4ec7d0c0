"""Maps of unlike models, settings or thresholds are never summed up; what may differ is said."""

import pytest

from diffad.group.settings import get_model_name, read_settings, require_one_kind

INFO = {
    "model": {"name": "a"},
    "threshold": 0.5,
    "threshold_rule": "healthy pixel FPR 0.01",
    "request": {"model": "hash", "sampler": {"name": "chain"}, "seed": 0, "scan": ["x"], "mask": None},
}


def check(*changes):
    infos = {"s0": INFO} | {f"s{n}": INFO | change for n, change in enumerate(changes, 1)}
    return require_one_kind(
        {name: read_settings(info) for name, info in infos.items()},
        {name: get_model_name(info) for name, info in infos.items()},
    )


def request(**values):
    return {"request": INFO["request"] | values}


def test_scans_and_masks_are_not_settings():
    assert check(request(scan=["y"], mask="m"), request(scan=["z"])) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (request(model="other") | {"model": {"name": "b"}}, "in model: 1 by a (s0), 1 by b (s1)"),
        (request(sampler={"name": "oneshot"}), "in sampler: "),
        (request(slices="0:9mm"), "in slices: "),
        ({"threshold": 0.6}, "in threshold_value: "),
        ({"threshold_rule": "fixed"}, "in threshold_rule: "),
        ({"contrast": "FLAIR"}, "in contrast: "),
        ({"warnings": ["the map is not normalised by place, as ..."]}, "in units: "),
        ({"request": None}, "model, "),
    ],
)
def test_other_kinds_are_refused_with_what_differs(change, what):
    with pytest.raises(ValueError, match="found 2 kinds, which differ") as caught:
        check(change)
    assert what in str(caught.value)


def test_what_changes_little_is_said():
    notes = check(request(prepare={"bias": True}), request(seed=3))
    assert notes == [
        "scans differ in prepare: 2 taken as they came, 1 prepared with --prepare",
        "scans differ in seed: 2 with 0, 1 with 3",
    ]


def test_thresholds_of_otsu_are_each_scans_own():
    otsu = {"threshold_rule": "otsu"}
    assert read_settings(INFO | otsu) == read_settings(INFO | otsu | {"threshold": 9.0})
    assert read_settings(INFO) != read_settings(INFO | {"threshold": 9.0})
