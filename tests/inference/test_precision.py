"""The number format follows from the device only where that was asked for."""

import pytest
import torch

from diffad.inference import precision
from diffad.inference.precision import PRECISIONS, resolve_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", PRECISIONS)
def test_a_named_format_is_kept(name):
    assert resolve_precision(name, CPU) == name


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_follows_the_device(monkeypatch, native, expected):
    monkeypatch.setattr(precision, "has_native_bf16", lambda device: native)
    assert resolve_precision("auto", CPU) == expected


def test_a_device_that_tells_nothing_gets_single_precision():
    assert resolve_precision("auto", torch.device("meta")) == "fp32"


def test_an_unknown_format_lists_the_known():
    with pytest.raises(ValueError, match="auto, fp32, bf16, fp16, got 'half'"):
        resolve_precision("half", CPU)
