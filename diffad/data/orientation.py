"""Where the voxels of a NIfTI file lie: its two orientations, its units, and what is odd about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from diffad.data.affine import Affine, is_plausible, is_regular, measure_shift, name_axes

KNOWN_CODES = range(6)
"""Codes of qform and sform that NIfTI defines; 0 means that there is none."""
LARGEST_SHIFT = 0.5
"""How far apart qform and sform may put a corner before it is said, in voxels."""
EDGE_TOLERANCE = 0.02
"""How far voxel edges may differ that are the same, as a fraction."""
UNITS = {1: ("metres", 1000.0), 3: ("microns", 0.001)}
"""Spatial units of NIfTI but for millimetres (2) and none (0), with their size in mm."""


def read_geometry(
    header: nib.Nifti1Header, shape: Sequence[int], trust: str | None
) -> tuple[Affine, list[str]]:
    """Return the affine of a NIfTI file in mm, and what should be known of it.

    Args:
        header: Header as it is on disk, its codes too.
        shape: Voxels, (I, J, K).
        trust: "qform" or "sform", where there are both; none takes the sform.
    """
    affine, warnings = _choose_affine(header, shape, trust)
    scale, unit_warnings = _read_scale(header, affine, shape)
    return np.diag([scale, scale, scale, 1.0]) @ affine, warnings + unit_warnings


def _choose_affine(
    header: nib.Nifti1Header, shape: Sequence[int], trust: str | None
) -> tuple[Affine, list[str]]:
    codes = {name: int(header[f"{name}_code"]) for name in ("qform", "sform")}
    warnings = [
        f"{name} code {code} is none that NIfTI defines: its orientation is taken as if it were known"
        for name, code in codes.items()
        if code not in KNOWN_CODES
    ]
    if not any(codes.values()):
        affine, warning = _guess_affine(header, trust)
        return affine, [*warnings, warning]
    affines = {name: read_form(header, name) for name, code in codes.items() if code}
    first = trust if trust in affines else _choose_form(affines)
    if trust and first != trust:
        warnings.append(f"there is no {trust} to trust: its code is 0, and the {first} is taken")
    if "qform" not in affines and not trust:
        warnings += _compare_spacing(header, affines["sform"])
    if len(affines) == 2 and (difference := _compare_forms(affines, shape)):
        other = "qform" if first == "sform" else "sform"
        warnings.append(f"{difference}: the {first} is taken; --trust {other} takes the other")
    return affines[first], warnings


def _choose_form(affines: Mapping[str, Affine]) -> str:
    """Choose the sform, or the qform where only that can be used."""
    return next(
        (name for name in ("sform", "qform") if name in affines and is_regular(affines[name])), "sform"
    )


def _compare_spacing(header: nib.Nifti1Header, affine: Affine) -> list[str]:
    """Say so if the voxel edges of the header are not those of the sform, where no qform holds them."""
    edges, spacing = header["pixdim"][1:4].astype(float), np.linalg.norm(affine[:3, :3], axis=0)
    if not is_regular(affine) or np.allclose(edges, spacing, rtol=EDGE_TOLERANCE):
        return []
    texts = [" x ".join(f"{edge:.4g}" for edge in values) for values in (edges, spacing)]
    return [f"voxels are {texts[0]} mm by pixdim and {texts[1]} mm by the sform, which is taken"]


def _guess_affine(header: nib.Nifti1Header, trust: str | None) -> tuple[Affine, str]:
    """Choose an orientation where the codes of both are 0."""
    no_codes = "there is no orientation (the codes of qform and sform are 0)"
    if trust and is_regular(affine := read_form(header, trust)):
        return affine, f"{no_codes}: the {trust} is taken all the same, as asked"
    affine = header.get_base_affine()
    guess = f"voxel axes are taken to run {name_axes(affine)}, so left and right are a guess"
    return affine, f"{no_codes}: {guess}; --trust qform or --trust sform takes what is stored"


def read_form(header: nib.Nifti1Header, name: str) -> Affine:
    """Return the qform or the sform of a header, whatever its code; NaN where it cannot be read.

    Args:
        header: A NIfTI header.
        name: "qform" or "sform".
    """
    if name == "sform":
        return np.asarray(header.get_sform(), dtype=np.float64)
    try:
        return np.asarray(header.get_qform(), dtype=np.float64)
    except (ValueError, HeaderDataError):
        return np.full((4, 4), np.nan)  # a quaternion that is no rotation


def _compare_forms(affines: dict[str, Affine], shape: Sequence[int]) -> str | None:
    """Say how qform and sform differ; none if they agree."""
    qform, sform = affines["qform"], affines["sform"]
    if not (is_regular(qform) and is_regular(sform)):
        broken = "sform" if is_regular(qform) else "qform"
        return f"qform and sform differ, as the {broken} cannot be used"
    axes = f"qform {name_axes(qform)}, sform {name_axes(sform)}"
    if np.linalg.det(qform[:3, :3]) * np.linalg.det(sform[:3, :3]) < 0:
        return f"qform and sform differ by a flip that exchanges left and right ({axes})"
    if name_axes(qform) != name_axes(sform):
        return f"qform and sform differ in the order or the direction of their axes ({axes})"
    shift = measure_shift(qform, sform, shape)
    return f"qform and sform differ by up to {shift:.1f} voxels" if shift > LARGEST_SHIFT else None


def _read_scale(header: nib.Nifti1Header, affine: Affine, shape: Sequence[int]) -> tuple[float, list[str]]:
    """Return the size of the unit of length in mm, and what should be known of it."""
    code = int(header["xyzt_units"]) & 7
    if code in (0, 2) or not is_regular(affine):
        return 1.0, []
    if code not in UNITS:
        return 1.0, [f"the unit of length has the unknown code {code}: millimetres are taken"]
    name, scale = UNITS[code]
    scaled_affine = np.diag([scale, scale, scale, 1.0]) @ affine
    if is_plausible(affine, shape) and not is_plausible(scaled_affine, shape):
        size = "which would be no size of a head"
        return 1.0, [f"the unit of length is {name} in the header, {size}: millimetres are taken"]
    return scale, [f"the unit of length is {name}: lengths are converted to millimetres"]
