"""Words that an option may be, written once for YAML, Python and the command line."""

from __future__ import annotations

from typing import Literal, get_args

Axis = Literal["sagittal", "coronal", "axial"]
"""Planes of slices, by the voxel axis (i, j, k) that they are counted along."""
Fusion = Literal["mean", "median", "min", "max", "geometric"]
"""How maps of several axes become one."""
NoiseScope = Literal["slice", "scan"]
"""What shares its noise."""
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
"""Number format of the network; "auto" is bf16 where the device computes in it natively, else fp32; "int8"
are the convolutions of an engine alone."""
EngineName = Literal["torch", "compile", "openvino", "onnx"]
"""What runs the denoising network."""
ResultLayout = Literal["auto", "plain", "bids"]
"""How results are named; "auto" is as BIDS has it for scans of a BIDS tree, else plain."""
FailurePolicy = Literal["any", "all", "never"]
"""When scans that failed make the exit code 1: if any did, only if all did, or never."""
HoldOut = Literal["scan", "site"]
"""What a healthy scan is not measured by: the scan itself, or all scans of its site."""
AnalysisLevel = Literal["participant", "group"]
"""Levels of a BIDS App."""
FigureFormat = Literal["pdf", "svg", "png"]
"""File formats of figures."""
Modality = Literal["mri", "ct"]
"""What a scan was made with."""
BrainMethod = Literal["deepbet", "threshold", "given", "none"]
"""How the brain of a scan is found."""
BrainChoice = Literal["auto", BrainMethod]
"""A ``BrainMethod``, or "auto" for the one that suits the scan."""
Registration = Literal["affine", "rigid", "none"]
"""What a scan may be moved by on its way to MNI152."""
Space = Literal["native", "MNI152NLin2009aSym"]
"""Spaces that results are written in: the scan's own grid, and the template that scans are registered to."""
Geometry = Literal["qform", "sform"]
"""Which orientation of a NIfTI file is taken where it has two."""
OffsetRule = Literal["check", "shift"]
"""What becomes of a CT whose offset of 1024 was forgotten."""

AXES: tuple[Axis, ...] = get_args(Axis)
SLICE_RANGE = r"([-+]?\d+(?:\.\d+)?)(?:mm)?:([-+]?\d+(?:\.\d+)?)mm"
"""A range of slices in millimetres of MNI152, as 19:27mm."""


def require(ok: bool, option: str, expectation: str, value: object) -> None:
    """Refuse the value of an option.

    Raises:
        ValueError: Unless ``ok``; the message names the option.
    """
    if not ok:
        raise ValueError(f"{option}: expected {expectation}, got {value!r}")


def require_choice(option: str, value: object, choice: object) -> None:
    """Refuse a word that is none of a choice, such as ``Precision``.

    Raises:
        ValueError: With the words that may be.
    """
    words = get_args(choice)
    require(value in words, option, f"one of {', '.join(words)}", value)
