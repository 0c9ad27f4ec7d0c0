"""Start-up imports nothing heavy: help and tab completion must answer at once."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import diffad

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "torch",
    "monai",
    "diffusers",
    "accelerate",
    "scipy",
    "numba",
    "matplotlib",
    "nilearn",
    "nibabel",
    "numpy",
)
REPORT = f"import sys; print('heavy:', *[name for name in {HEAVY!r} if name in sys.modules])"
HELP = """
import sys
sys.argv = {argv!r}
from diffad.cli import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
"""


def run_python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("module", ["diffad", "diffad.cli", "diffad.registry", "diffad.config"])
def test_import_brings_in_nothing_heavy(module):
    run = run_python("-c", f"import {module}\n{REPORT}")
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "heavy:"


@pytest.mark.parametrize(
    "argv", [["diffad", "--help"], ["diffad", "train", "--help"], ["diffad", "predict", "--help"]]
)
def test_help_brings_in_nothing_heavy(argv):
    run = run_python("-c", HELP.format(argv=argv) + REPORT)
    assert run.returncode == 0, run.stderr
    assert "Usage" in run.stdout
    assert run.stdout.strip().splitlines()[-1] == "heavy:"


def test_module_run_lists_the_commands():
    run = run_python("-m", "diffad", "--help")
    assert run.returncode == 0, run.stderr
    assert [name for name in ("train", "predict", "evaluate", "demo", "list") if name not in run.stdout] == []


def test_unknown_command_fails_with_one_clear_error():
    run = run_python("-m", "diffad", "predikt")
    assert run.returncode != 0
    assert "predikt" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr


@pytest.mark.parametrize("name", sorted(diffad.__all__))
def test_public_name_is_reached_lazily(name):
    assert getattr(diffad, name) is not None
    assert name in dir(diffad)


def test_unknown_attribute_is_named_in_the_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        importlib.import_module("diffad").no_such_name  # noqa: B018


@pytest.fixture
def clone(tmp_path):
    """A folder that holds a clone named diffad: a folder with no package in it but one below."""
    (tmp_path / "diffad").mkdir()
    (tmp_path / "diffad" / "diffad").symlink_to(ROOT / "diffad")
    return tmp_path


def run_above(clone, code):
    paths = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=clone, env=paths, capture_output=True, text=True, check=False)


def test_package_is_found_from_the_folder_above_a_clone(clone):
    run = run_above(clone, "import diffad; print(diffad.__file__, diffad.NOISES.kind)")
    assert run.stdout.split() == [str(ROOT / "diffad/__init__.py"), "noise"], run.stderr


def test_folder_of_a_clone_is_refused_as_the_package(clone):
    code = f"import sys; sys.path.remove({str(ROOT)!r}); import diffad.diffad"
    message = "ImportError: expected to be imported as diffad, got diffad.diffad"
    assert message in run_above(clone, code).stderr
