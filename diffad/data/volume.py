"""A scan on disk and in memory: canonical RAS inside, its own grid outside."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from torch import Tensor

from diffad.config.reading import ReadOptions
from diffad.data.affine import check_affine, measure_shift
from diffad.data.volume_axes import RAS as RAS
from diffad.data.volume_axes import cast_exactly, make_image, turn_to_canonical, turn_to_stored
from diffad.data.volume_error import VolumeError as VolumeError
from diffad.data.volume_error import demand
from diffad.data.volume_file import read_volume_file
from diffad.io.atomic import write_bytes
from diffad.io.nifti import WRITTEN_SUFFIXES

Array = npt.NDArray[Any]
Source = str | os.PathLike[str]
ROUNDING_SHIFT, LARGEST_SHIFT = 0.05, 0.5
"""How far apart two grids may be that are the same, and that are taken for the same, in voxels."""


@dataclass(frozen=True, eq=False)
class Origin:
    """How a scan lay on disk.

    Args:
        header: NIfTI header of its maps, in the unit and with the orientations that the scan came with.
        affine: Voxel to world matrix of the voxels as stored, (4, 4), in mm.
        path: Its file, the first of a stack.
        options: How it was read, and how its masks are.
    """

    header: nib.Nifti1Header
    affine: Array
    path: Path
    options: ReadOptions = field(default_factory=ReadOptions)


@dataclass(frozen=True, eq=False)
class Volume:
    """One scan: sequences as channels, on voxel axes that run to the right, anterior and superior (RAS).

    Args:
        data: Intensities, (C, I, J, K), kept in float32.
        affine: Voxel to world matrix of ``data``, (4, 4), in mm.
        origin: Where the scan came from; none if it was made from arrays.
        warnings: What a reader of the results should know of how the scan was read, in whole sentences.

    Raises:
        VolumeError: If ``data`` is not (C, I, J, K) or ``affine`` is not an invertible (4, 4) matrix.
    """

    data: Array
    affine: Array
    origin: Origin | None = field(default=None, repr=False)
    warnings: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if np.ndim(self.data) != 4 or np.size(self.data) == 0:
            raise VolumeError(f"expected data (C, I, J, K) with voxels, got shape {np.shape(self.data)}")
        object.__setattr__(self, "data", np.ascontiguousarray(self.data, dtype=np.float32))
        object.__setattr__(self, "affine", check_affine(self.affine, "Volume"))

    @classmethod
    def load(
        cls,
        source: Source | Sequence[Source],
        *,
        allow_constant: bool = False,
        options: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    ) -> Volume:
        """Read a file (3-D, or 4-D with sequences last), or stack several files on one grid, in order.

        Args:
            source: Path of a NIfTI or MGH file, or of a pair of header and image; or a list of paths.
            allow_constant: Accept sequences without contrast, as masks may be.
            options: Which orientation is trusted, and how large a file may be.

        Raises:
            VolumeError: If a file is missing, damaged, without usable geometry or voxels, too large, or on
                another grid.
        """
        paths = [source] if isinstance(source, str | os.PathLike) else list(source)
        if not paths:
            raise VolumeError("expected at least one NIfTI file, found an empty list")
        volumes = [_load_file(Path(path), allow_constant, options) for path in paths]
        return stack_volumes(volumes)

    def warn(self, *sentences: str) -> Volume:
        """Return the scan with more warnings, each once; the scan itself where there is none that is new."""
        warnings = tuple(dict.fromkeys((*self.warnings, *sentences)))
        return self if warnings == self.warnings else replace(self, warnings=warnings)

    @property
    def spacing(self) -> Array:
        """Distance between voxel centres along I, J and K, (3,), in mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, in ml."""
        return measure_voxel(self.affine)

    @property
    def file_affine(self) -> Array:
        """Voxel to world matrix of the voxels as stored, (4, 4), in mm; ``affine`` if they are of no file."""
        return self.origin.affine if self.origin else self.affine

    @property
    def path(self) -> Path | None:
        """File the scan was read from, if any."""
        return self.origin.path if self.origin else None

    @property
    def options(self) -> ReadOptions:
        """How the scan was read, and how its masks are."""
        return self.origin.options if self.origin else ReadOptions()

    @property
    def name(self) -> str:
        """What messages call the scan: its file, or "the scan"."""
        return str(self.path or "the scan")

    def save(self, image: Array | Tensor, path: Source, dtype: npt.DTypeLike = np.float32) -> None:
        """Write a map in the scan's own orientation, shape, affine and NIfTI version, whole or not at all.

        The header stays, but for what describes the values of the scan: scaling, display range and intent.

        Args:
            image: Map on the axes of ``data``, (I, J, K) or (C, I, J, K).
            path: File to write, .nii or .nii.gz.
            dtype: Type on disk; float32 for maps, uint8 for masks.

        Raises:
            VolumeError: If the shape or suffix is wrong, or an integer type cannot hold the values.
            OSError: If the file cannot be written.
        """
        path = Path(path)
        demand(path.name.endswith(WRITTEN_SUFFIXES), path, "a name ending in .nii or .nii.gz", path.name)
        raw = self._make_image(image, dtype, path).to_bytes()
        # mtime=0 makes the same map the same file, whenever it is written.
        write_bytes(path, gzip.compress(raw, 1, mtime=0) if path.suffix == ".gz" else raw)

    def to_nifti(self, image: Array | Tensor, dtype: npt.DTypeLike = np.float32) -> nib.Nifti1Image:
        """Return a map as the NIfTI image that ``save`` would write; arguments and errors are the same."""
        nifti = self._make_image(image, dtype, self.path or Path("the map"))
        return type(nifti).from_bytes(nifti.to_bytes())

    def _make_image(self, image: Array | Tensor, dtype: npt.DTypeLike, path: Path) -> nib.Nifti1Image:
        # NumPy has no bfloat16; float() leaves every other narrow type exact.
        array = image.detach().float().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
        shape = self.data.shape[1:]
        fits = array.ndim in (3, 4) and array.shape[-3:] == shape
        demand(fits, path, f"a map {shape}, or several as channels", f"shape {array.shape}")
        stored_affine, header = (self.origin.affine, self.origin.header) if self.origin else (None, None)
        return make_image(
            cast_exactly(turn_to_stored(array, stored_affine), dtype, path), self.affine, header
        )


def stack_volumes(volumes: Sequence[Volume]) -> Volume:
    """Return volumes on one grid as the sequences of the first; what was odd about any is said.

    Raises:
        VolumeError: If one lies on another grid than the first.
    """
    first = volumes[0]
    grid_warnings = [w for other in volumes[1:] for w in require_same_grid(other, first)]
    data = np.concatenate([volume.data for volume in volumes]) if len(volumes) > 1 else first.data
    file_warnings = [warning for volume in volumes for warning in volume.warnings]
    return Volume(data, first.affine, first.origin, tuple(dict.fromkeys([*file_warnings, *grid_warnings])))


def measure_voxel(affine: Array) -> float:
    r"""Return the volume of a voxel, in ml, on a sheared grid too.

    .. math:: V = |\det A| / 1000

    Args:
        affine: Voxel to world matrix, (4, 4), in mm; :math:`A` is its upper left part, (3, 3).
    """
    return float(abs(np.linalg.det(affine[:3, :3]))) / 1000


def require_same_grid(volume: Volume, like: Volume) -> tuple[str, ...]:
    """Check that two volumes lie on one grid, as stored or once both are in RAS, and say if they hardly do.

    Headers round, each in its own way: corners that lie within a twentieth of a voxel are the same, those
    within half a voxel are taken for the same with a warning.

    Returns:
        The warning, or nothing.

    Raises:
        VolumeError: If a corner lies further off, or the voxel counts differ; both files are named.
    """
    shape = like.data.shape[1:]
    # Flipping an axis multiplies the rounding of its spacing by its length, so the stored affines count too.
    stored_affines = [v.origin.affine if v.origin else v.affine for v in (volume, like)]
    pairs = [(volume.affine, like.affine), (stored_affines[0], stored_affines[1])]
    same_count = volume.data.shape[1:] == shape
    shift = min(measure_shift(a, b, shape) for a, b in pairs) if same_count else float("inf")
    same = shift <= LARGEST_SHIFT
    demand(same, volume.path, f"the grid of {like.path}, {_describe_grid(like)}", _describe_grid(volume))
    if shift <= ROUNDING_SHIFT:
        return ()
    name = volume.path.name if volume.path else "a volume"
    return (f"{name} lies up to {shift:.2f} voxels off the grid of the scan; it is taken to lie on it",)


def _describe_grid(volume: Volume) -> str:
    return f"shape {volume.data.shape[1:]} with affine {np.round(volume.affine[:3], 4).tolist()} (in RAS)"


def _load_file(path: Path, allow_constant: bool, options: ReadOptions) -> Volume:
    header, native = read_volume_file(path, options)
    data, affine = turn_to_canonical(native, header.affine)
    check_intensities(data, path, allow_constant)
    return Volume(data, affine, Origin(header.header, header.affine, path, options), header.warnings)


def check_intensities(data: Array, path: Path, allow_constant: bool) -> None:
    """Refuse voxels that are not finite, and sequences without contrast.

    Args:
        data: Intensities, (C, I, J, K).
        path: File that a message names.
        allow_constant: Accept sequences without contrast.

    Raises:
        VolumeError: If there are such voxels or sequences.
    """
    bad_voxels = data.size - int(np.isfinite(data).sum())
    demand(not bad_voxels, path, "finite voxels", f"{bad_voxels} of {data.size} that are NaN or infinite")
    for channel, values in enumerate(data):
        varies = allow_constant or values.min() < values.max()
        demand(varies, path, "contrast", f"{values.flat[0]:g} everywhere in channel {channel}")
