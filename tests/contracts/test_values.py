"""What parts hand each other are values: nobody changes one that another still holds."""

import dataclasses
import importlib
import inspect
import pkgutil

import pytest

from diffad import guidance, noise, samplers, score, threshold
from diffad.data.grid import SquareGrid
from diffad.data.volume import Volume
from diffad.denoise import NetworkDenoiser
from diffad.evaluation import metrics
from diffad.inference.detector import DetectorRun
from diffad.inference.postprocess import Postprocess
from diffad.step import DDIM
from diffad.types import Reconstruction

PACKAGES = (guidance, noise, samplers, score, threshold, metrics)
NEIGHBOURS = (SquareGrid, Volume, NetworkDenoiser, DetectorRun, Postprocess, DDIM, Reconstruction)


def modules():
    for package in PACKAGES:
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)
    yield from (inspect.getmodule(neighbour) for neighbour in NEIGHBOURS)


VALUES = {
    f"{cls.__module__}.{cls.__name__}": cls
    for module in modules()
    for cls in vars(module).values()
    if inspect.isclass(cls) and dataclasses.is_dataclass(cls) and cls.__module__ == module.__name__
}


@pytest.mark.parametrize("cls", VALUES.values(), ids=VALUES)
def test_value_cannot_be_changed(cls):
    value = object.__new__(cls)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(cls)[0].name, None)
