"""Simplex noise made by tensor operations, as on an accelerator, against the kernels of the CPU."""

import numpy as np
import pytest
import torch

from diffad.noise import _device, _kernel2, _kernel3, _kernel4
from diffad.noise._lattice import spread_places
from diffad.noise.simplex import SimplexNoise

KERNELS = {2: _kernel2.sum_fields2, 3: _kernel3.sum_fields3, 4: _kernel4.sum_fields4}
OPTIONS = 6, 0.8, 64.0
SEEDS = [42, -(10**10), 10**10 - 1]


def origins(dims, seed=0):
    return spread_places(np.random.default_rng(seed).random((len(SEEDS), dims)), OPTIONS[-1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("dims", "shape"), [(2, (1, 37, 50)), (3, (1, 37, 50)), (3, (9, 12, 20)), (4, (4, 9, 11))]
)
def test_equals_the_kernel_of_the_cpu(dims, shape, dtype):
    like = torch.zeros(1, dtype=dtype)
    fields = _device.sum_device_fields(SEEDS, origins(dims), shape, *OPTIONS, like=like)
    expected = torch.from_numpy(KERNELS[dims](SEEDS, origins(dims), shape, *OPTIONS))
    assert (fields.dtype, fields.shape) == (dtype, expected.shape)
    torch.testing.assert_close(fields.double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [0.7, 3.3, 1000.0])
def test_equals_the_kernel_for_any_feature_size(size):
    places = spread_places(np.random.default_rng(1).random((3, 3)), size)
    fields = _device.sum_device_fields(SEEDS, places, (3, 16, 18), 3, 0.5, size, like=torch.zeros(1))
    expected = _kernel3.sum_fields3(SEEDS, places, (3, 16, 18), 3, 0.5, size)
    np.testing.assert_allclose(fields.numpy(), expected, atol=1e-5)


def test_chunks_change_nothing(monkeypatch):
    def make():
        return _device.sum_device_fields(SEEDS, origins(3), (5, 8, 9), *OPTIONS, like=torch.zeros(1))

    whole = make()
    monkeypatch.setattr(_device, "CHUNK", 2 * 8 * 9 + 1)
    assert torch.equal(make(), whole)


@pytest.mark.parametrize("dims", [2, 3, 4])
def test_looks_at_every_vertex_in_reach(dims):
    # A point of the cell and a vertex: no vertex outside the list may be nearer than the square root of 2.
    u = np.random.default_rng(0).random((2000, dims))
    vertices = set(_device.list_vertices(dims))
    for vertex in np.ndindex(*[6] * dims):
        v = np.array(vertex) - 2
        r2 = ((u - v) ** 2).sum(1) + (u - v).sum(1) ** 2
        assert tuple(v.tolist()) in vertices or r2.min() >= 2


@pytest.mark.parametrize(
    ("options", "shape"),
    [({}, (2, 2, 20, 24)), ({"dims": 2}, (2, 1, 9, 8)), ({"dims": 4, "correlated": True}, (1, 2, 4, 9, 8))],
    ids=str,
)
def test_noise_of_an_accelerator_equals_that_of_the_cpu(options, shape, generators, monkeypatch):
    noise, like = SimplexNoise(**options), torch.zeros(shape)
    expected = noise(like, generator=generators(0, 1)[: shape[0]])

    def sum_fields(self, starts, like, octave_set):
        place = [int(seed) for seed in starts[:, 0]], starts[:, 1:].numpy(), (1, *like.shape[2:])[-3:]
        return _device.sum_device_fields(*place, *OPTIONS, like=like) / self.std

    monkeypatch.setattr(SimplexNoise, "sum_fields", sum_fields)
    torch.testing.assert_close(
        noise(like, generator=generators(0, 1)[: shape[0]]), expected, atol=1e-5, rtol=0
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("shape", [(2, 2, 20, 24), (1, 1, 4, 9, 8)], ids=str)
def test_gpu_equals_cpu(shape, generators):
    seeds = range(shape[0])
    expected = SimplexNoise()(torch.zeros(shape), generator=generators(*seeds))
    z = SimplexNoise()(torch.zeros(shape, device="cuda"), generator=generators(*seeds))
    assert z.device.type == "cuda"
    torch.testing.assert_close(z.cpu(), expected, atol=1e-5, rtol=0)
