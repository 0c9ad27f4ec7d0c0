"""The files of the containers hold to each other, to the project and to what is pinned."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.helpers.container_file import DOCKERFILE, ROOT, read_stages

FOLDER = ROOT / "containers"
DEFINITION = (FOLDER / "apptainer.def").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BUILD, IMAGE = read_stages()
HADOLINT = Path(sys.executable).with_name("hadolint")


def section(name):
    """Lines of a section of the Apptainer definition."""
    found = re.search(rf"^%{name}\n(.*?)(?=^%|\Z)", DEFINITION, re.S | re.M)
    return [line.strip() for line in found[1].splitlines() if line.strip()]


@pytest.mark.skipif(not HADOLINT.is_file(), reason="hadolint is not installed")
def test_dockerfile_is_lint_clean():
    done = subprocess.run([HADOLINT, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_both_install_by_one_script_and_by_nothing_else():
    steps = ["sh containers/install.sh torch", "sh containers/install.sh diffad"]
    assert BUILD.rest("RUN") == steps
    assert [line for line in section("post") if line.startswith("sh ")] == steps
    assert "pip" not in DOCKERFILE.read_text() + DEFINITION.replace("pypi", "")


def test_both_start_from_one_pinned_image_and_one_index():
    (base,) = {BUILD.base, IMAGE.base, re.search(r"^From: (\S+)", DEFINITION, re.M)[1]}
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base)
    assert section("arguments") == [f"TORCH_INDEX={BUILD.variables()['TORCH_INDEX']}"]


def test_both_copy_the_same_and_all_that_the_install_needs():
    copied = [name for rest in BUILD.rest("COPY") for name in shlex.split(rest)[:-1]]
    assert sorted(copied) == sorted(line.split()[0] for line in section("files"))
    assert {"constraints.txt", "pyproject.toml", "diffad", "noise", "samplers", "configs"} <= set(copied)
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert {f"!{name}" for name in copied} == {line for line in ignored if line.startswith("!")}


def test_versions_and_variables_are_those_of_the_project():
    variables = IMAGE.variables()
    assert variables["VERSION"] == PROJECT["version"]
    assert f"org.opencontainers.image.version {PROJECT['version']}" in section("labels")
    shared = {k: v for k, v in variables.items() if k.startswith(("PYTHON", "HF_"))}
    assert {f"export {key}={value}" for key, value in shared.items()} <= set(section("environment"))
    assert IMAGE.rest("USER") == ["1000:1000"]
    extras = re.search(r'"\.\[(.*)\]"', (FOLDER / "install.sh").read_text())[1].split(",")
    assert set(extras) <= set(PROJECT["optional-dependencies"])


@pytest.fixture
def enter(tmp_path):
    """Run the entry point with programs that say how they were called."""
    programs = tmp_path / "bin"
    programs.mkdir()
    shown = ("HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "DENO_DIR")
    for name in ("diffad", "diffad-bids"):
        lines = ["#!/bin/sh", f'echo "{name} $*"', *(f'echo "${key}"' for key in shown)]
        (programs / name).write_text("\n".join(lines))
        (programs / name).chmod(0o755)

    def run(*words, **variables):
        given = {"PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)} | variables
        command = ["sh", str(FOLDER / "entrypoint.sh"), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=given)
        call, *values = done.stdout.splitlines()
        return call.strip(), dict(zip(shown, values, strict=True))

    return run


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (["/data", "/out", "participant"], "diffad-bids /data /out participant"),
        (["--help"], "diffad-bids --help"),
        ([], "diffad-bids"),
        (["diffad", "predict", "x"], "diffad predict x"),
        (["diffad-bids", "--version"], "diffad-bids --version"),
    ],
)
def test_entry_point_is_the_bids_app_or_what_is_named(enter, words, call):
    assert enter(*words)[0] == call


def test_caches_lie_in_a_folder_of_this_user(enter, tmp_path):
    values = enter("diffad", HOME="/nonexistent")[1]
    assert all(value.startswith(f"{tmp_path}/diffad-{os.getuid()}") for value in values.values())
    assert (tmp_path / f"diffad-{os.getuid()}").stat().st_mode & 0o777 == 0o700
    values = enter("diffad", HOME=str(tmp_path), MPLCONFIGDIR="/mine")[1]
    assert (values["HOME"], values["MPLCONFIGDIR"]) == (str(tmp_path), "/mine")


def test_folder_that_another_put_there_is_not_used(enter, tmp_path):
    trap = tmp_path / "elsewhere"
    trap.mkdir()
    (tmp_path / f"diffad-{os.getuid()}").symlink_to(trap)
    values = enter("diffad", HOME="/nonexistent")[1]
    assert not any(value.startswith(f"{tmp_path}/diffad-") for value in values.values())
    assert list(trap.iterdir()) == []


def test_install_script_refuses_an_unknown_step():
    command = [shutil.which("sh"), str(FOLDER / "install.sh"), "all"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    assert (done.returncode, "expected torch or diffad, got all" in done.stderr) == (2, True)
