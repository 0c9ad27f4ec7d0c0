"""The number format follows from the device only where that was asked for."""

import pytest
import torch

from diffad.engines.engine import FORMATS
from diffad.inference import precision
from diffad.inference.precision import PRECISIONS, resolve_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(("engine", "name"), [(e, name) for e, names in FORMATS.items() for name in names])
def test_a_named_format_is_kept(engine, name):
    assert name in PRECISIONS
    assert resolve_precision(name, CPU, engine) == name


def test_a_format_that_an_engine_lacks_is_refused():
    with pytest.raises(ValueError, match="expected one of fp32, bf16, fp16 for the engine torch, got 'int8'"):
        resolve_precision("int8", CPU)


def test_auto_of_an_engine_without_bf16_is_single_precision(monkeypatch):
    monkeypatch.setattr(precision, "has_native_bf16", lambda device: True)
    assert resolve_precision("auto", CPU, "onnx") == "fp32"
    assert resolve_precision("auto", CPU, "openvino") == "bf16"


@pytest.mark.parametrize(("has", "expected"), [(True, "bf16"), (False, None)])
def test_a_mac_has_bf16_from_some_system_on(monkeypatch, has, expected):
    monkeypatch.setattr(precision, "has_mps_bf16", lambda: has)
    device = torch.device("mps")
    assert resolve_precision("auto", device) == "fp32"
    if has:
        assert resolve_precision("bf16", device) == expected
        return
    with pytest.raises(ValueError, match="expected fp32 or fp16 on this system"):
        resolve_precision("bf16", device)


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_follows_the_device(monkeypatch, native, expected):
    monkeypatch.setattr(precision, "has_native_bf16", lambda device: native)
    assert resolve_precision("auto", CPU) == expected


def test_a_device_that_tells_nothing_gets_single_precision():
    assert resolve_precision("auto", torch.device("meta")) == "fp32"


def test_an_unknown_format_lists_the_known():
    with pytest.raises(ValueError, match="auto, fp32, bf16, fp16, int8, got 'half'"):
        resolve_precision("half", CPU)
