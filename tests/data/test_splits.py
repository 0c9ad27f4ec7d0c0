"""Subjects are split whole, reproducibly, and never twice."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.config import load
from diffad.data.items import DataError
from diffad.data.splits import choose_split, require_disjoint, split_scans, split_subjects

SHARES = {"train": 0.8, "val": 0.2}


@settings(deadline=None, max_examples=40)
@given(st.sets(st.text("abc0", min_size=1), min_size=5, max_size=40), st.integers(0, 5))
def test_every_subject_is_in_exactly_one_split(subjects, seed):
    splits = split_subjects([*subjects, *subjects], SHARES, seed)
    assert sorted(splits["train"] + splits["val"]) == sorted(subjects)


def test_shares_are_met_and_follow_from_the_seed():
    subjects = [f"s{i}" for i in range(50)]
    splits = split_subjects(subjects, {"train": 0.7, "val": 0.1, "test": 0.2}, 3)
    assert [len(part) for part in splits.values()] == [35, 5, 10]
    assert splits == split_subjects(subjects[::-1], {"train": 0.7, "val": 0.1, "test": 0.2}, 3)
    assert splits != split_subjects(subjects, {"train": 0.7, "val": 0.1, "test": 0.2}, 4)


def test_dae_config_splits_1251_subjects_as_published():
    """Sizes of Kascenas et al. (2022): a shuffle of the sorted names with seed 0."""
    subjects = [f"BraTS2021_{i:05}" for i in range(1251)]
    data = load("dae").data
    splits = split_subjects(subjects, data["shares"], data["split_seed"])
    assert {name: len(part) for name, part in splits.items()} == {"train": 938, "val": 62, "test": 251}
    shuffled = sorted(subjects)
    random.Random(0).shuffle(shuffled)
    assert splits["train"] + splits["val"] + splits["test"] == shuffled


@pytest.mark.parametrize("shares", [{"train": 0.8, "val": 0.1}, {"train": float("nan")}, {"train": 2.0}])
def test_shares_that_do_not_sum_to_one_are_refused(shares):
    with pytest.raises(DataError, match="sum to 1"):
        split_subjects(["a", "b"], shares, 0)


def test_split_without_subjects_is_refused():
    with pytest.raises(DataError, match=r"too few: with 2 of them.*'val' would be empty"):
        split_subjects(["a", "b", "a"], SHARES, 0)


def test_scans_follow_their_subject_and_keep_their_order():
    scans = [f"{subject}-{k}" for k in range(3) for subject in "abcdefghij"]
    splits = split_scans(scans, [scan[0] for scan in scans], SHARES, 0)
    assert [len(part) for part in splits.values()] == [24, 6]
    for part in splits.values():
        assert part == [scan for scan in scans if scan in part]
    assert not {s[0] for s in splits["train"]} & {s[0] for s in splits["val"]}


def test_subjects_in_two_splits_are_all_listed():
    require_disjoint({"train": ["a", "a", "b"], "val": ["c"]}, "root")
    with pytest.raises(DataError, match=r"root: .*found b \(train, val\); c \(train, test\)"):
        require_disjoint({"train": ["a", "b", "c"], "val": ["b", "b"], "test": ["c"]}, "root")


def test_absent_or_empty_split_names_those_there_are():
    splits = {"train": [1, 2], "val": []}
    assert choose_split(splits, "train", "root") == [1, 2]
    for name in ("val", "test"):
        with pytest.raises(DataError, match=rf"root: .*'{name}', found these splits: train \(2\), val \(0\)"):
            choose_split(splits, name, "root")
