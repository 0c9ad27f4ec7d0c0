"""Convolutions in 8 bits: ranges, rounding, and whole numbers that give what rounding promises."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from diffad.engines import compiled
from diffad.engines.core import CoreModule, EngineError, isolate_core, make_inputs
from diffad.engines.native_conv import NativeConv
from diffad.engines.needs import require_compiler, require_whole_numbers
from diffad.engines.quantise import RoundedConv, find_scale, measure_ranges, quantise_core
from diffad.models.unet2d import UNet2D


def has_vnni():
    try:
        require_whole_numbers()
    except EngineError:
        return False
    return hasattr(torch.ops.onednn, "qconv2d_pointwise")


needs_vnni = pytest.mark.skipif(not has_vnni(), reason="the processor lacks VNNI")


@given(st.integers(-5000, 0).map(lambda n: n / 100), st.integers(1, 5000).map(lambda n: n / 100))
def test_zero_is_a_whole_number_and_the_range_is_held(low, high):
    scale, zero = find_scale(low, high)
    assert 0 <= zero <= 255
    ends = torch.tensor([low, 0.0, high])
    rounded = ((ends / scale).round() + zero).clamp(0, 255) - zero
    assert float(rounded[1]) == 0
    assert (rounded * scale - ends).abs().max() <= scale * 1.01


def core(seed=0):
    torch.manual_seed(seed)
    network = UNet2D(channels=(16, 32), groups=4, layers=1, patch=2, place=True).eval()
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.15)
    inputs = make_inputs(network, "", batch=4, scale=4)
    return isolate_core(network, "", inputs), inputs


def pick(inputs):
    return [value for value in inputs if value is not None]


def test_ranges_are_of_every_inner_convolution_and_hold_its_inputs():
    module, inputs = core()
    ranges = measure_ranges(module, [inputs, inputs])
    convs = [n for n, m in module.named_modules() if isinstance(m, nn.Conv2d)]
    assert set(convs) - set(ranges) == {"owner.unet.conv_in", "owner.unet.conv_out"}
    assert all(low <= 0 <= high and high > low for low, high in ranges.values())


def test_rounding_changes_the_answer_little_but_does_change_it():
    module, inputs = core()
    rounded = quantise_core(module, measure_ranges(module, [inputs]), RoundedConv)
    with torch.no_grad():
        exact, close = module(*pick(inputs)), rounded(*pick(inputs))
    gap = float((close - exact).abs().mean() / exact.std())
    assert 1e-4 < gap < 0.1


@needs_vnni
@pytest.mark.parametrize(("stride", "side"), [(1, 3), (2, 3), (1, 1)])
def test_whole_numbers_give_what_rounding_promises(stride, side):
    torch.manual_seed(1)
    conv = nn.Conv2d(16, 24, side, stride=stride, padding=side // 2)
    x = torch.randn(3, 16, 9, 7)
    bounds = (float(x.min()), float(x.max()))
    with torch.no_grad():
        expected = RoundedConv(conv, bounds)(x)
        found = NativeConv(conv, bounds)(x)
    assert found.shape == expected.shape
    assert (found.float() - expected).abs().max() < 0.01 * expected.abs().max()


@needs_vnni
def test_compiled_core_fills_batches_and_answers_as_the_rounded_one(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda module, **options: module)
    module, inputs = core()
    ranges = measure_ranges(module, [inputs])
    with torch.no_grad():
        exact = module(*pick(inputs))
        rounded = quantise_core(module, ranges, RoundedConv)(*pick(inputs))
    found = compiled.CompiledCore(module, "int8", 3, ranges)(*inputs)
    assert found.shape == exact.shape
    assert found.dtype == torch.float32
    assert (found - rounded).abs().mean() < 0.05 * exact.std()


def test_compiled_core_answers_items_alike_whatever_fills_the_batch(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda module, **options: module)
    module, inputs = core()
    run = compiled.CompiledCore(module, "fp32", 3)
    with torch.no_grad():
        exact = module(*pick(inputs))
    whole = run(*inputs)
    one = run(*[None if value is None else value[1:2] for value in inputs])
    assert (whole - exact).abs().max() < 1e-4
    assert (one - exact[1:2]).abs().max() < 1e-4


@pytest.mark.slow
def test_compiled_code_answers_as_torch():
    module, inputs = core()
    with torch.no_grad():
        exact = module(*pick(inputs))
    found = compiled.CompiledCore(module, "fp32", 4)(*inputs)
    assert (found - exact).abs().max() < 1e-4


def test_machine_without_a_compiler_is_refused(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(EngineError, match="expected a C\\+\\+ compiler"):
        require_compiler()


def test_processor_without_the_instructions_is_refused(monkeypatch):
    for name in ("_is_avx512_vnni_supported", "_is_vnni_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    with pytest.raises(EngineError, match="VNNI"):
        require_whole_numbers()


def test_core_module_hands_on_what_is_given_alone():
    class Owner(nn.Module):
        def run_core(self, x, labels, vector=None):
            return x + labels if vector is None else x

    assert torch.equal(
        CoreModule(Owner(), (True, True, False))(torch.ones(2), torch.ones(2)), torch.full((2,), 2.0)
    )
