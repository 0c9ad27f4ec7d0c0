"""The wheel, the checkout and the map between them hold the same packages."""

import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
MAPPED = ("noise", "samplers", "configs")
SHIPPED = ROOT / "diffad" / "models" / "shipped"
WEIGHTS_LIMIT = 40_000_000


def folder_of(package):
    """The real folder that the map gives a package."""
    for name, folder in sorted(SETUPTOOLS["package-dir"].items(), key=lambda item: -len(item[0])):
        if package == name or package.startswith(f"{name}."):
            return ROOT / folder / package.removeprefix(name).lstrip(".").replace(".", "/")
    raise AssertionError(f"no folder for {package}")


def python_files():
    """Every module of ours in its real folder, as (top-level folder, path below it)."""
    for top in ("diffad", *MAPPED):
        for folder, _, files in os.walk(ROOT / top):
            below = Path(folder).relative_to(ROOT / top)
            yield from ((top, below / name) for name in files if name.endswith(".py"))


def in_wheel(top, below):
    return (Path("diffad") / ("" if top == "diffad" else top) / below).as_posix()


def requirement_names(requirements):
    return {re.match(r"[\w-]+", line)[0].lower().replace("_", "-") for line in requirements}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy, where no stale build/ folder can add to it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for top in ("diffad", *MAPPED):
        shutil.copytree(ROOT / top, source / top, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    # Without isolation nothing is fetched; the dev extra brings a setuptools that is new enough.
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["--no-index", "--wheel-dir", str(out), str(source)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    with zipfile.ZipFile(next(out.glob("diffad-*.whl"))) as archive:
        yield archive


def test_package_list_names_every_folder_of_code():
    folders = {in_wheel(top, below.parent).replace("/", ".") for top, below in python_files()}
    assert sorted(SETUPTOOLS["packages"]) == sorted(folders)


@pytest.mark.parametrize("package", SETUPTOOLS["packages"])
def test_listed_package_has_an_init_file(package):
    assert (folder_of(package) / "__init__.py").is_file()


@pytest.mark.parametrize("name", MAPPED)
def test_link_and_map_lead_to_the_same_folder(name):
    link = ROOT / "diffad" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..") / name
    assert SETUPTOOLS["package-dir"][f"diffad.{name}"] == name
    assert link.resolve() == ROOT / name


@pytest.mark.parametrize("name", MAPPED)
def test_folder_refuses_to_be_a_top_level_package(name):
    run = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    message = run.stderr.strip().splitlines()[-1]
    expected = f"ImportError: this folder is the package diffad.{name}: import it so, not as '{name}'"
    assert message == expected


@pytest.mark.parametrize("name", ["diffad.noise", "diffad.samplers", "diffad.configs"])
def test_folder_is_imported_under_its_full_name(name):
    assert importlib.import_module(name).__name__ == name


def test_version_of_the_package_is_that_of_the_project():
    import diffad

    assert diffad.__version__ == PYPROJECT["project"]["version"]


def test_wheel_holds_nothing_at_top_level_but_diffad(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"diffad"}


def test_wheel_holds_every_module_of_the_checkout(wheel):
    modules = {name for name in wheel.namelist() if name.endswith(".py")}
    assert modules == {in_wheel(top, below) for top, below in python_files()}


def test_wheel_holds_types_configs_licence_and_shipped_models(wheel):
    names = set(wheel.namelist())
    configs = {f"diffad/configs/{path.name}" for path in (ROOT / "configs").glob("*.yaml")}
    shipped = {p.relative_to(ROOT).as_posix() for p in SHIPPED.rglob("*") if p.is_file()}
    shipped = {name for name in shipped if "__pycache__" not in name}
    version = PYPROJECT["project"]["version"]
    expected = {"diffad/py.typed", f"diffad-{version}.dist-info/licenses/LICENSE"} | configs | shipped
    assert configs
    assert any(name.endswith(".safetensors") for name in shipped)
    assert expected <= names


def test_wheel_brings_the_command_and_the_licence_name(wheel):
    entry_points = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    assert b"diffad = diffad.cli:main" in wheel.read(entry_points)
    assert message_from_bytes(wheel.read(metadata))["License-Expression"] == "Apache-2.0"


def test_shipped_weights_stay_small_and_are_safetensors():
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    weights = [path for path in files if path.suffix == ".safetensors"]
    assert 0 < sum(path.stat().st_size for path in weights) < WEIGHTS_LIMIT
    assert not [path for path in files if path.suffix in {".bin", ".pt", ".pth", ".ckpt", ".pkl"}]


def test_constraints_pin_every_dependency_exactly():
    project = PYPROJECT["project"]
    direct = requirement_names(sum(project["optional-dependencies"].values(), project["dependencies"]))
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []
    assert direct - requirement_names(pins) == set()
