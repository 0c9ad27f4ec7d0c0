"""A device without memory: smaller batches, then the CPU, the same results, each said once."""

import pytest
import torch

from diffad.inference.stack import BatchResult
from diffad.models.chunked import Chunked
from diffad.models.memory import Memory, is_out_of_memory
from diffad.models.unet2d import UNet2D
from tests.test_pipeline import images, make


class Narrow(UNet2D):
    """Holds no more than so many items at once."""

    most, sizes = 2, ()

    def forward(self, x_t, labels, *rest, **cond):
        self.sizes.append(len(x_t))
        if len(x_t) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().forward(x_t, labels, *rest, **cond)


def narrow(pipe, most):
    pipe.network.__class__ = Narrow
    pipe.network.most, pipe.network.sizes = most, []
    return pipe


def test_batch_is_halved_until_it_fits_and_results_stay(capsys):
    expected = make()(images(6), batch_size=8)
    pipe = narrow(make(), 2)
    found = pipe(images(6), batch_size=8)
    assert (found.anomaly_map - expected.anomaly_map).abs().max() < 1e-5
    assert max(pipe.network.sizes[2:]) <= 2
    pipe(images(6), batch_size=8)
    assert max(pipe.network.sizes[3:]) <= 2  # what was learned stays
    assert capsys.readouterr().err.count("no memory for 8 images at once") == 1


def test_lack_of_memory_for_one_image_on_the_cpu_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        narrow(make(), 0)(images(2), batch_size=4)


def test_other_errors_are_not_retried():
    calls = []

    def network(x_t, labels):
        calls.append(len(x_t))
        raise RuntimeError("a wrong shape")

    with pytest.raises(RuntimeError, match="a wrong shape"):
        Chunked(network, 4)(torch.rand(4, 1, 2, 2), torch.arange(4))
    assert calls == [4]


def test_device_that_holds_nothing_is_left_for_the_cpu(capsys, monkeypatch):
    detector = make().detector(batch_size=4)
    object.__setattr__(detector, "device", torch.device("meta"))
    moved, own = [], type(detector)._score_windows

    def score(self, x, *rest):
        if self.device.type == "meta":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return own(self, x, *rest)

    monkeypatch.setattr(type(detector), "_score_windows", score)
    monkeypatch.setattr(type(detector.networks[0]), "to", lambda self, device: moved.append(device))
    x = images(3, shape=(16, 16))
    found = detector.maps(x, torch.ones_like(x), [0, 1, 2])
    expected = make().detector(batch_size=4).maps(x, torch.ones_like(x), [0, 1, 2])
    assert isinstance(found, BatchResult)
    assert (found.anomaly - expected.anomaly).abs().max() < 1e-5
    assert set(moved) == {"cpu"}
    told = capsys.readouterr().err
    assert told.count("no memory for 4 images") + told.count("no memory for 3 images") == 1
    assert told.count("the rest runs on the CPU") == 1


def test_memory_only_shrinks():
    memory = Memory()
    assert memory.bound(8) == 8
    memory.halve(8)
    memory.halve(8)
    assert (memory.bound(8), memory.bound(1)) == (2, 1)


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        (torch.OutOfMemoryError("x"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_lack_of_memory_is_told_from_other_errors(error, lacks):
    assert is_out_of_memory(error) is lacks
