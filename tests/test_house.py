"""The house is in order: imports run in no circle, and a name has one meaning."""

import ast

import pytest

from tests.timings.house import House
from tests.timings.house_imports import circles
from tests.timings.house_words import names_no_thing, starts_with_participle


@pytest.fixture(scope="module")
def house():
    return House.read()


def test_no_circle_of_imports_even_inside_functions(house):
    assert house.circles() == []


def test_no_public_class_is_defined_twice(house):
    assert house.repeated(ast.ClassDef) == {}


def test_no_public_function_is_defined_twice(house):
    assert house.repeated(ast.FunctionDef) == {}


def test_every_file_is_read_once_by_its_name_in_the_package(house):
    modules = [source.module for source in house.sources]
    assert len(modules) == len(set(modules)) > 300
    assert {"diffad", "diffad.noise.gaussian", "diffad.samplers.chain"} <= set(modules)


def test_circle_is_found_and_a_chain_is_none():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_import_inside_a_function_counts_and_one_for_types_alone_does_not(tmp_path):
    package = tmp_path / "diffad"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("from diffad import b\n")
    (package / "b.py").write_text("def f():\n    from diffad.a import g\n")
    (package / "c.py").write_text("if TYPE_CHECKING:\n    from diffad.d import D\n")
    (package / "d.py").write_text("import diffad.c\n")
    house = House.read(tmp_path)
    assert house.circles() == [["diffad.a", "diffad.b"]]
    assert house.circles(deep=False) == []
    assert len(house.circles(typing=True)) == 2


def test_participle_stands_before_its_noun_or_is_none():
    assert all(map(names_no_thing, ("noised", "found", "_told", "unseen", "at", "mask_eroded")))
    assert not any(map(names_no_thing, ("noised_image", "spacing", "seed", "x_t", "result", "present")))
    assert all(map(starts_with_participle, ("looked_at", "_checked", "calibrating", "rebuilt_image")))
    assert not any(map(starts_with_participle, ("cut", "embed", "read_image", "split", "spacing")))
