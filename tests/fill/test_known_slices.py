"""Self-tests of models that know some slices: masks lie there, and nothing else is filled."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from diffad.data.volume import Volume
from diffad.fill.lesion import plan_region
from diffad.fill.selftest import draw_healthy_mask, find_slab
from diffad.inference.scan import read_source
from diffad.inference.slice_range import choose_slices
from tests.helpers.cohorts import inside

SHAPE = (46, 56, 48)
KNOWN_MM = (0.0, 28.0)


@pytest.fixture(scope="module")
def source():
    """A whole brain of 4 mm voxels, about as long as that of the template in each direction."""
    brain = inside(SHAPE)
    data = brain * (100 + 20 * np.random.default_rng(0).random(SHAPE)).astype(np.float32)
    return read_source(Volume(data[None], np.diag([4.0, 4.0, 4.0, 1.0])), brain)


def make_pipe(range_mm=KNOWN_MM, axis="axial"):
    scope = {"range_mm": list(range_mm)} if range_mm else None
    settings = {"scope": scope, "space": {"axis": axis}, "sequences": None, "contrasts": None, "domain": None}
    config = SimpleNamespace(**settings, calibration=None, provenance={}, get=settings.get)
    return SimpleNamespace(config=config)


@pytest.fixture
def scope(monkeypatch):
    """Let the model say what it knows without being one."""

    class Scope:
        def __init__(self, values):
            self.range_mm = tuple(values["range_mm"]) if values else None

        @classmethod
        def of(cls, config):
            return cls(config.scope)

    monkeypatch.setattr("diffad.fill.selftest.ModelScope", Scope)


@pytest.mark.usefixtures("scope")
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dilate", [0.0, 3.9, 4.0, 9.0])
def test_all_that_is_filled_lies_in_slices_that_the_model_knows(source, dilate, seed):
    slab = find_slab(make_pipe(), source, dilate)
    brain = source.brain[0, 0].numpy()
    lesion = draw_healthy_mask(brain, source.volume, 4.0, torch.Generator().manual_seed(seed), slab)
    planes = np.flatnonzero(plan_region(lesion, brain, source.volume, dilate).fill_mask.any((0, 1)))
    first, last = choose_slices(source, "axial", None, KNOWN_MM).slices
    assert first <= planes[0] <= planes[-1] < last
    assert slab.any((0, 1)).sum() == last - first - 2 * int(dilate // 4)
    assert lesion.sum() * source.volume.voxel_ml == pytest.approx(4, rel=0.15)


@pytest.mark.usefixtures("scope")
def test_mask_that_grows_out_of_these_slices_is_refused(source):
    with pytest.raises(ValueError, match=r"grows by 20 mm within those that the model knows, found \d"):
        find_slab(make_pipe(), source, 20.0)


@pytest.mark.usefixtures("scope")
@pytest.mark.parametrize("pipe", [make_pipe(None), make_pipe(None, "volume")])
def test_model_of_all_slices_or_of_volumes_is_tested_anywhere(source, pipe):
    assert find_slab(pipe, source, 2.0) is None
