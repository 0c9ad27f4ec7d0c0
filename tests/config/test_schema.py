"""Plain values become dataclasses and come back, or say what is wrong with them."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.config.schema import ConfigError, check_range, from_dict, to_dict


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    name: str = "a"


@dataclass(frozen=True)
class Outer:
    count: int
    part: dict[str, Any] = field(default_factory=lambda: {"name": "x"})
    inner: Inner = Inner()
    pair: tuple[int, int] | None = None
    rates: tuple[float, ...] = ()
    on: bool = False


# the suite flushes subnormal numbers to zero
floats = st.floats(allow_nan=False, allow_subnormal=False)
LONGS = st.integers(-(2**63) + 1, 2**63 - 1)
"""Whole numbers that a config may hold; larger ones are refused."""

outers = st.builds(
    Outer,
    count=LONGS,
    part=st.dictionaries(
        st.text("abc", min_size=1), st.none() | LONGS | st.lists(st.booleans()), max_size=3
    ).map(lambda d: {**d, "name": "x"}),
    inner=st.builds(Inner, rate=floats, name=st.text()),
    pair=st.none() | st.tuples(LONGS, LONGS),
    rates=st.lists(floats).map(tuple),
    on=st.booleans(),
)


@settings(deadline=None, max_examples=50)
@given(outers)
def test_dataclass_survives_dict_and_yaml(outer):
    plain = to_dict(outer)
    assert from_dict(Outer, plain) == outer
    assert from_dict(Outer, yaml.safe_load(yaml.safe_dump(plain))) == outer


def test_plain_copy_shares_nothing_with_the_dataclass():
    outer = from_dict(Outer, {"count": 1, "part": {"name": "x", "levels": [1]}})
    to_dict(outer)["part"]["levels"].append(2)
    assert outer.part["levels"] == [1]


WRONG = [
    ({}, "config key count is missing"),
    ({"count": "1"}, "config key count: expected int, got '1'"),
    ({"count": True}, "config key count: expected int, got True"),
    ({"count": 1.0}, "config key count: expected int, got 1.0"),
    ({"count": 1, "on": 1}, "config key on: expected bool, got 1"),
    ({"count": 1, "inner": 3}, "config key inner: expected a mapping, got 3"),
    ({"count": 1, "inner": {"rat": 1}}, "unknown config key 'inner.rat'; did you mean 'inner.rate'?"),
    ({"count": 1, "inner": {"rate": "x"}}, "config key inner.rate: expected float, got 'x'"),
    ({"count": 1, "pair": 3}, "config key pair: expected a list, got 3"),
    ({"count": 1, "pair": [3]}, r"config key pair: expected 2 values, got \[3\]"),
    ({"count": 1, "pair": [3, "a"]}, "config key pair: expected int, got 'a'"),
    ({"count": 1, "part": "simplex"}, "config key part: expected a mapping with a 'name', got 'simplex'"),
    ({"count": 1, "part": {"octaves": 3}}, "config key part: expected a mapping with a 'name'"),
    ({"count": 1, "part": {"name": "x", "a": {"b": {1, 2}}}}, "config key part.a.b: expected a plain value"),
    ({"count": 1, "part": {"name": "x", 3: 4}}, "config key part: expected options named by text, got 3"),
    ({"count": 1, "zzz": 1}, r"unknown config key 'zzz'\. Known: count, inner, on, pair, part, rates"),
]


@pytest.mark.parametrize(("values", "said"), WRONG)
def test_wrong_value_names_its_key_and_what_was_expected(values, said):
    with pytest.raises(ConfigError, match=said):
        from_dict(Outer, values)


def test_whole_numbers_pass_for_floats_and_lists_for_tuples():
    outer = from_dict(Outer, {"count": 1, "inner": {"rate": 2}, "pair": [1, 2], "rates": [1, 2.5]})
    assert outer.inner.rate == 2.0
    assert isinstance(outer.inner.rate, float)
    assert outer.pair == (1, 2)
    assert outer.rates == (1.0, 2.5)


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        ("[0, 1]", (0, 1), (-0.1, 1.1)),
        ("(0, 1)", (0.5,), (0, 1)),
        ("[1, inf)", (1, 1e9), (0, float("inf"), float("nan"))),
        ("(0, 1]", (1, None), (0,)),
    ],
)
def test_intervals_are_open_and_closed_as_written(interval, inside, outside):
    for value in inside:
        check_range(Inner(value), "inner", interval, "rate")
    for value in outside:
        with pytest.raises(ConfigError, match=r"config key inner\.rate: expected a number in"):
            check_range(Inner(value), "inner", interval, "rate")


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**400])
def test_whole_number_beyond_all_use_is_refused(number):
    with pytest.raises(ConfigError, match="expected"):
        from_dict(Outer, {"count": 1, "part": {"name": "x", "a": number}})
