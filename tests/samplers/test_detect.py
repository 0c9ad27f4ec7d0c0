"""The sampler that asks a detector instead of a denoiser."""

import pytest
import torch

from diffad.pipeline import AnomalyPipeline
from diffad.protocols import Sampler
from diffad.samplers.detect import Detect
from diffad.types import Detection
from tests.contracts.test_detector import OPTIONS, make_pipeline
from tests.helpers.toys import GaussianDenoiser, recorder, white_noise


class Halves:
    """Calls the upper half of a scan odd, and halves it."""

    supervision, backbone = "none", None

    def __init__(self, has_twin=True):
        self.has_twin, self.seen = has_twin, []

    def detect(self, x, mask):
        self.seen.append((x, mask))
        anomaly = torch.zeros_like(x[:, :1])
        anomaly[:, :, : x.shape[2] // 2] = 1
        return Detection(anomaly, x / 2 if self.has_twin else None)


@pytest.fixture
def x():
    return torch.rand(3, 2, 8, 6, generator=torch.Generator().manual_seed(9)) * 2 - 1


def run(x, detector=None, seeds=(1, 2, 3), **options):
    sampler = Detect()
    if detector is not None:
        sampler.attach_networks({"network": detector})
    generators = [torch.Generator().manual_seed(s) for s in seeds]
    return sampler(x, GaussianDenoiser(), white_noise, generator=generators, **options)


def test_map_and_twin_are_those_of_the_detector(x):
    detector, mask = Halves(), torch.ones(3, 1, 8, 6)
    result = run(x, detector, mask=mask)
    seen, given = detector.seen[0]
    torch.testing.assert_close(seen, (x + 1) / 2)
    assert given is mask
    torch.testing.assert_close((result.image + 1) / 2, (x + 1) / 4)
    assert result.map[:, :, :4].min() == 1
    assert result.map[:, :, 4:].max() == 0
    assert result.nfe == 1


def test_without_a_twin_the_scan_stands_in_its_place(x):
    assert torch.equal(run(x, Halves(has_twin=False)).image, x)


def test_one_record_holds_the_map(x):
    records, on_step = recorder()
    run(x, Halves(), on_step=on_step)
    assert [(r.t, r.s) for r in records] == [(1, 0)]
    assert records[0].map[:, :, :4].min() == 1


def test_it_is_a_sampler_and_refuses_what_no_sampler_takes(x):
    assert isinstance(Detect(), Sampler)
    with pytest.raises(ValueError, match="one generator for each of 3 items, got 2"):
        run(x, Halves(), seeds=(1, 2))
    with pytest.raises(TypeError, match="floating point"):
        run(x.long(), Halves())


def test_it_needs_a_detector(x):
    with pytest.raises(ValueError, match="was not handed to it"):
        run(x)
    with pytest.raises(
        ValueError, match="expected one of the detectors as the network of the pipeline, got Linear"
    ):
        run(x, torch.nn.Linear(2, 2))


def test_a_denoiser_with_this_sampler_is_refused_by_name():
    from diffad.registry import DETECTORS, MODELS

    pipe = make_pipeline(DETECTORS.build("ae", **OPTIONS["ae"]))
    network = MODELS.build("unet2d", channels=[8, 16], layers=1, groups=4)
    other = AnomalyPipeline(network, pipe.scheduler, sampler={"name": "detect"}, score={"name": "likelihood"})
    with pytest.raises(ValueError, match="expected one of the detectors"):
        other(torch.rand(1, 1, 16, 16))
