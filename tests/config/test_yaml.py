"""YAML is read strictly, and changes are laid over it."""

import pytest

from diffad.config.schema import ConfigError
from diffad.config.yaml import apply_variants, merge, override, read_yaml


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
