"""A place to follow pages in: an empty folder, parts that are forgotten, and short ways for what is slow."""

import contextlib
import pkgutil
import sys
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from PIL import Image

import diffad
from diffad.config import plugins
from diffad.prepare.register import RegistrationResult
from diffad.prepare.template import make_template_grid
from diffad.registry import REGISTRIES
from tests.helpers.hub import serve_hub
from tests.helpers.stage import write_stand_in

QUALITY = {
    "matrix": np.eye(4).tolist(), "mutual_information": 0.5, "mutual_information_before": 0.4,
    "iterations": [1], "dice": 0.95, "scales": [1.0, 1.0, 1.0], "determinant": 1.0, "outside": 0.0,
}  # fmt: skip
"""Figures of a registration that went well."""


@pytest.fixture(scope="session")
def shipped(tmp_path_factory):
    """Tiny models by the names of the shipped ones."""
    folder = tmp_path_factory.mktemp("shipped")
    return {name: write_stand_in(folder / name) for name in ("brain-any", "brain-t1", "ixi-t1-axial")}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to work in, which is home, too; parts that a page registers are gone afterwards."""
    with contextlib.ExitStack() as stack:
        prepare_place(stack, monkeypatch, tmp_path)
        yield tmp_path


def forget_plugins():
    """Forget the plug-ins of a page, of whose names others may be."""
    for name in [name for name in sys.modules if name.startswith("diffad_plugin_")]:
        del sys.modules[name]


def prepare_place(stack, patch, folder):
    threads = torch.get_num_threads()
    stack.callback(torch.set_num_threads, threads)
    stack.enter_context(serve_hub(patch, folder / "hub"))
    for name in ("HOME", "XDG_CONFIG_HOME"):
        patch.setenv(name, str(folder))
    patch.chdir(folder)
    patch.syspath_prepend(folder)
    patch.setattr(plugins, "MODULES", {})
    stack.callback(forget_plugins)
    for registry in REGISTRIES.values():
        stack.enter_context(registry.scope())


@pytest.fixture
def tiny_models(monkeypatch, shipped):
    """Tiny models in the place of the shipped ones, and no network to look for brains in what is no head."""
    name_models(monkeypatch, shipped)


@pytest.fixture
def short_ways(monkeypatch, tiny_models):
    """The least for what takes long besides: a picture, and how a scan is prepared."""
    take_short_ways(monkeypatch)


def import_all():
    """Import every module, so that none takes a stand-in by name while one stands there, and keeps it."""
    for module in pkgutil.walk_packages(diffad.__path__, "diffad."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # an extra that is not there
                import_module(module.name)


def name_models(patch, shipped):
    import_all()
    for module in ("models.pretrained", "inference.candidates", "predict.facts", "predict.model_hub"):
        patch.setattr(f"diffad.{module}.list_shipped_models", lambda: shipped)
    patch.setattr("diffad.prepare.brain.find_brain_deepbet", lambda image, threads: image > 0)


def take_short_ways(patch):
    patch.setattr("diffad.io.progress.SILENCE_SECONDS", 0.0)  # every stage is said, as of a slow scan
    patch.setattr("diffad.cli.machine.find_spec", lambda name: None if name == "deepbet" else find_spec(name))
    patch.setattr("diffad.report.montage.save_report", lambda out, path, *_: draw_nothing(path))
    patch.setattr("diffad.prepare.run.estimate_bias_field", lambda image, *_: np.ones_like(image))
    result = RegistrationResult(np.eye(4), 1.0, 1.0, (1,))
    patch.setattr("diffad.prepare.mni._register", lambda *_: result)
    patch.setattr("diffad.prepare.sequences.align", lambda *_: result)
    patch.setattr("diffad.report.preparation.draw_preparation", lambda scan: b"a picture")
    patch.setattr("diffad.prepare.mni.measure_quality", lambda *_: dict(QUALITY))
    patch.setattr("diffad.prepare.run.make_template_grid", lambda spacing: make_template_grid(6.0))


def draw_nothing(path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    return path
