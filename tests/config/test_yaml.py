"""YAML is read strictly, and changes are laid over it."""

import os
import time

import pytest

from diffad.config.schema import ConfigError
from diffad.config.yaml import apply_variants, merge, override, parse_yaml, read_yaml


def test_overrides_are_laid_over_without_touching_the_original():
    values = {"a": {"b": 1, "c": 2}}
    assert override(values, ["a.b=3", "d.e=[1, x]"]) == {"a": {"b": 3, "c": 2}, "d": {"e": [1, "x"]}}
    assert values == {"a": {"b": 1, "c": 2}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("-2E5", -2e5),
        ("5.0e-4", 5e-4),
        ("3", 3),
        ("true", True),
        ("null", None),
        ("", None),
        ("1e", "1e"),
        ("a=b", "a=b"),
        ("{name: gaussian}", {"name": "gaussian"}),
    ],
)
def test_override_values_are_yaml_with_plain_exponents(text, value):
    assert override({}, [f"k={text}"]) == {"k": value}


@pytest.mark.parametrize("assignment", ["train", "=3", ".a=3", "a..b=3", "a.=1"])
def test_override_that_is_no_assignment_raises(assignment):
    with pytest.raises(ConfigError, match="expected key=value, got"):
        override({}, [assignment])


def test_override_into_a_scalar_raises():
    with pytest.raises(ConfigError, match=r"cannot set a\.b\.c: 1 is not a mapping"):
        override({"a": {"b": 1}}, ["a.b.c=2"])


def test_override_that_is_no_yaml_raises_in_one_line():
    with pytest.raises(ConfigError, match=r"^a=\[1: expected YAML, in line 1 .*$"):
        override({}, ["a=[1"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [1", r"c\.yaml: expected YAML, in line 1"),
        (b"a: 1\nb: 2\na: 3\n", r"c\.yaml: expected YAML, in line 1 found key 'a' twice"),
        (b"- 1\n", r"c\.yaml: expected a YAML mapping, found list"),
        (b"", r"c\.yaml: expected a YAML mapping, found NoneType"),
        (b"\xff\xfe\x00", r"c\.yaml: expected YAML, found no text"),
        (b"a: !!python/object/apply:os.system ['true']\n", r"c\.yaml: expected YAML"),
    ],
)
def test_file_that_is_no_mapping_names_itself(tmp_path, content, said):
    (tmp_path / "c.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=said) as caught:
        read_yaml(tmp_path / "c.yaml")
    assert "\n" not in str(caught.value)


def test_missing_file_names_itself(tmp_path):
    with pytest.raises(ConfigError, match=r"c\.yaml: cannot be read \(No such file"):
        read_yaml(tmp_path / "c.yaml")


def test_pattern_of_names_needs_no_quotes():
    assert override({}, ["data.mask=*_brain_mask.nii.gz"]) == {"data": {"mask": "*_brain_mask.nii.gz"}}


FILE = {"a": {"b": 1, "c": 2}, "part": {"name": "x", "size": 3}, "variants": {"v": {"a": {"b": 9}}}}


def test_variant_is_laid_over_key_by_key_and_before_other_changes():
    assert apply_variants(FILE, ["a.c=4", "variant=v"], "f.yaml") == (
        {"a": {"b": 9, "c": 2}, "part": {"name": "x", "size": 3}},
        ["a.c=4"],
    )
    assert "variants" in FILE


def test_variants_are_no_part_of_a_config_that_asks_for_none():
    assert apply_variants(FILE, [], "f.yaml")[0] == {key: FILE[key] for key in ("a", "part")}


def test_unknown_variant_names_the_file_and_the_closest():
    with pytest.raises(ConfigError, match=r"^f\.yaml: unknown variant 'w'.* Known: v$"):
        apply_variants(FILE, ["variant=w"], "f.yaml")


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"size": 4}, {"name": "x", "size": 4}),
        ({"name": "x", "size": 4}, {"name": "x", "size": 4}),
        ({"name": "y"}, {"name": "y"}),
        (None, None),
    ],
)
def test_part_of_another_name_replaces_the_whole_part(over, expected):
    assert merge(FILE["part"], over) == expected


def bomb(depth, width):
    lines = ["a0: &a0 [1, 2, 3]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, depth)]
    return "\n".join(lines)


HOSTILE = [
    (bomb(9, 9), "found more than 10000 keys and values"),
    (bomb(2, 200), "found more than 100 aliases"),
    ("a: &a [*a]", "found an alias inside what it stands for"),
    ("a: " + "[" * 50_000, "found more than 20 levels"),
    ("a: " + "{b: " * 30 + "1" + "}" * 30, "found more than 20 levels"),
    ("".join(f"k{i}: 1\n" for i in range(20_000)), "found more than 10000 keys and values"),
    (f"a: {'x' * 300_000}", "expected YAML of at most 262144"),
    ("a: !!bool x", "in line 1 found 'x', which is no bool"),
    ("a: !!int x", "found 'x', which is no int"),
    ("a: !!timestamp x", "which is no timestamp"),
    ("a: 2001-99-99", "found '2001-99-99', which is no timestamp"),
    (f"a: {'9' * 5000}", "which is no int"),
    ("a: 99999999999999999999", "found a number beyond 9223372036854775807"),
    ("? [a]\n: 1", "expected YAML, in line 1"),
]


@pytest.mark.parametrize(
    ("text", "said"), HOSTILE, ids=[said[:30] + str(i) for i, (_, said) in enumerate(HOSTILE)]
)
def test_hostile_yaml_is_refused_at_once_in_one_short_line(tmp_path, text, said):
    (tmp_path / "c.yaml").write_text(text)
    start = time.monotonic()
    with pytest.raises(ConfigError, match=said) as caught:
        read_yaml(tmp_path / "c.yaml")
    assert time.monotonic() - start < 5
    assert len(str(caught.value)) <= 2000
    with pytest.raises(ConfigError):  # on the command line, too
        parse_yaml(text, "noise")


def test_shipped_aliases_are_read_and_count_as_what_they_repeat(tmp_path):
    text = "a: &a {b: [1, 2]}\nc: [*a, *a]"
    assert parse_yaml(text, "x") == {"a": {"b": [1, 2]}, "c": [{"b": [1, 2]}, {"b": [1, 2]}]}


def test_pipe_in_the_place_of_a_file_is_refused_and_nothing_waits(tmp_path):
    os.mkfifo(tmp_path / "c.yaml")
    with pytest.raises(ConfigError, match="expected a file, found something else"):
        read_yaml(tmp_path / "c.yaml")


def test_assignment_into_many_levels_is_refused():
    with pytest.raises(ConfigError, match="expected key=value"):
        override({}, [".".join("a" * 5000) + "=1"])


@pytest.mark.parametrize("variants", [[1], {"v": 1}, "v"])
def test_variants_that_are_no_mappings_are_refused(variants):
    with pytest.raises(ConfigError, match="expected variants as mappings by name"):
        apply_variants({"variants": variants}, ["variant=v"], "c.yaml")
