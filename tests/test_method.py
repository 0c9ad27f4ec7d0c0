"""A method is one value: parts over parts, plain at its borders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffad.method import PARTS, Method

NAMES = {"name": st.sampled_from(["a", "b"])}
SPECS = st.none() | st.fixed_dictionaries(NAMES, optional={"level": st.integers()})
METHODS = st.builds(Method, **dict.fromkeys(PARTS, SPECS))


def test_parts_are_those_of_the_readme():
    assert PARTS == ("noise", "sampler", "score", "guidance")


@given(METHODS, METHODS)
def test_every_part_that_is_there_takes_the_place_of_the_other(a, b):
    both = a.over(b)
    for part in PARTS:
        own = getattr(a, part)
        assert getattr(both, part) == (getattr(b, part) if own is None else own)


@given(METHODS)
def test_over_has_a_neutral_element_and_dicts_give_the_method_back(method):
    assert method.over(Method()) == method == Method().over(method) == method.over(method)
    assert Method.of(method.to_dict()) == method == Method(**method.to_dict())
    assert method.to_overrides() == {k: v for k, v in method.to_dict().items() if v is not None}


def test_other_keys_of_a_config_are_no_parts():
    assert Method.of({"score": {"name": "l1"}, "seed": 3}) == Method(score={"name": "l1"})


def test_part_without_a_name_changes_options_of_the_part_below():
    base = Method(sampler={"name": "a", "level": 3, "inner": {"name": "c", "steps": 1}})
    method = Method(sampler={"level": 4, "inner": {"steps": 2}}).over(base)
    assert method.sampler == {"name": "a", "level": 4, "inner": {"name": "c", "steps": 2}}
    assert base.sampler["level"] == 3


def test_part_without_a_name_needs_a_part_below():
    with pytest.raises(ValueError, match="guidance: expected a part with a name, as the model has none"):
        Method(guidance={"scale": 3}).over(Method())
