"""A scan on disk and in memory: canonical RAS inside, its own grid outside."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel import orientations
from torch import Tensor

from diffad.io.atomic import write_bytes

Array = npt.NDArray[Any]
Source = str | os.PathLike[str]
RAS = np.array([[0, 1], [1, 1], [2, 1]])


class VolumeError(ValueError):
    """A scan, mask or map that cannot be used; the message names file, expectation and finding."""


@dataclass(frozen=True, eq=False)
class Origin:
    """How a scan lay on disk: its header, its affine (4, 4) in mm, and its file (the first of a stack)."""

    header: nib.Nifti1Header
    affine: Array
    path: Path


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
        object.__setattr__(self, "affine", _check_affine(self.affine, "Volume"))

    @classmethod
    def load(cls, source: Source | Sequence[Source], *, allow_constant: bool = False) -> Volume:
        """Read a NIfTI file (3-D, or 4-D with sequences last), or stack several files on one grid, in order.

        Args:
            source: Path of a .nii or .nii.gz file, or a list of paths.
            allow_constant: Accept sequences without contrast, as masks may be.

        Raises:
            VolumeError: If a file is missing, damaged, without usable geometry or voxels, or on another grid.
        """
        paths = [source] if isinstance(source, str | os.PathLike) else list(source)
        if not paths:
            raise VolumeError("expected at least one NIfTI file, found an empty list")
        volumes = [_load_file(Path(path), allow_constant) for path in paths]
        for other in volumes[1:]:
            require_same_grid(other, volumes[0])
        data = np.concatenate([volume.data for volume in volumes]) if len(volumes) > 1 else volumes[0].data
        warnings = dict.fromkeys(warning for volume in volumes for warning in volume.warnings)
        return cls(data, volumes[0].affine, volumes[0].origin, tuple(warnings))

    @property
    def spacing(self) -> Array:
        """Distance between voxel centres along I, J and K, (3,), in mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, in ml."""
        return measure_voxel(self.affine)

    @property
    def path(self) -> Path | None:
        """File the scan was read from, if any."""
        return self.origin.path if self.origin else None

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
        _expect(path.name.endswith((".nii", ".nii.gz")), path, "a name ending in .nii or .nii.gz", path.name)
        # NumPy has no bfloat16; float() leaves every other narrow type exact.
        array = image.detach().float().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
        values = _cast(self._to_stored(array, path), np.dtype(dtype), path)
        raw = self._encode(values)
        # mtime=0 makes the same map the same file, whenever it is written.
        write_bytes(path, gzip.compress(raw, 1, mtime=0) if path.suffix == ".gz" else raw)

    def to_nifti(self, image: Array | Tensor, dtype: npt.DTypeLike = np.float32) -> nib.Nifti1Image:
        """Return a map as the NIfTI image that ``save`` would write; arguments and errors are the same."""
        path = self.path or Path("the map")
        array = image.detach().float().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
        raw = self._encode(_cast(self._to_stored(array, path), np.dtype(dtype), path))
        return _choose_image_class(raw).from_bytes(raw)

    def _to_stored(self, image: Array, path: Path) -> Array:
        shape = self.data.shape[1:]
        fits = image.ndim in (3, 4) and image.shape[-3:] == shape
        _expect(fits, path, f"a map {shape}, or several as channels", f"shape {image.shape}")
        image = np.moveaxis(image, 0, -1) if image.ndim == 4 else image[..., None]
        if self.origin:
            orientation = orientations.io_orientation(self.origin.affine)
            image = orientations.apply_orientation(image, orientations.ornt_transform(RAS, orientation))
        return image[..., 0] if image.shape[-1] == 1 else image

    def _encode(self, values: Array) -> bytes:
        if self.origin is None:
            image = nib.Nifti1Image(values, self.affine)
            image.header.set_xyzt_units("mm")
            return image.to_bytes()
        header = self.origin.header.copy()
        header.set_data_dtype(values.dtype)
        header.set_intent("none")
        header["cal_min"] = header["cal_max"] = 0
        image_class = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
        return image_class(values, self.origin.affine, header).to_bytes()


def measure_voxel(affine: Array) -> float:
    r"""Return the volume of a voxel, in ml, on a sheared grid too.

    .. math:: V = |\det A| / 1000

    Args:
        affine: Voxel to world matrix, (4, 4), in mm; :math:`A` is its upper left part, (3, 3).
    """
    return float(abs(np.linalg.det(affine[:3, :3]))) / 1000


def require_same_grid(volume: Volume, like: Volume) -> None:
    """Check that two volumes share voxel count and affine (to 1e-3), as stored or once both are in RAS.

    Raises:
        VolumeError: If they do not; both files are named.
    """
    # Flipping an axis multiplies the rounding of its spacing by its length, so the stored affines count too.
    stored_affines = [v.origin.affine if v.origin else v.affine for v in (volume, like)]
    affines_match = any(
        np.allclose(a, b, rtol=0, atol=1e-3) for a, b in ((volume.affine, like.affine), stored_affines)
    )
    same = affines_match and volume.data.shape[1:] == like.data.shape[1:]
    _expect(same, volume.path, f"the grid of {like.path}, {_describe_grid(like)}", _describe_grid(volume))


def _expect(ok: bool, name: Path | str | None, expectation: str, finding: object) -> None:
    if not ok:
        raise VolumeError(f"{name}: expected {expectation}, found {finding}")


def _describe_grid(volume: Volume) -> str:
    return f"shape {volume.data.shape[1:]} with affine {np.round(volume.affine[:3], 4).tolist()} (in RAS)"


def _load_file(path: Path, allow_constant: bool) -> Volume:
    _expect(path.is_file(), path, "a NIfTI file", "a folder" if path.is_dir() else "no such file")
    try:
        image = _read_image(path)
        with np.errstate(over="ignore"):
            native = np.asarray(image.dataobj, dtype=np.float32)
    except VolumeError:
        raise
    except Exception as error:  # nibabel, zlib and numpy raise a dozen unrelated types on damaged files
        reason = f"{type(error).__name__}: {error}"
        raise VolumeError(f"{path}: expected a readable NIfTI file, found {reason}") from error
    data, affine = _to_canonical(native, _check_affine(image.affine, path))
    _check_voxels(data, path, allow_constant)
    return Volume(data, affine, Origin(image.header.copy(), image.affine, path))


def _read_image(path: Path) -> nib.Nifti1Image:
    raw = path.read_bytes()
    # Decompressing to the end verifies the checksum, which reading only the voxels would skip.
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    image_class = _choose_image_class(raw)
    # nibabel repairs spacings silently when it makes an image, so they are checked before.
    _check_header(image_class.header_class.from_fileobj(io.BytesIO(raw), check=False), path)
    return image_class.from_bytes(raw)


def _choose_image_class(raw: bytes) -> type[nib.Nifti1Image]:
    if raw[344:347] == b"n+1":
        return nib.Nifti1Image
    if raw[4:7] == b"n+2":
        return nib.Nifti2Image
    raise ValueError(f"{len(raw)} bytes without a NIfTI-1 or NIfTI-2 signature")


def _check_header(header: nib.Nifti1Header, path: Path) -> None:
    dtype, spacing = header.get_data_dtype(), header["pixdim"][1:4]
    shape = tuple(int(n) for n in header.get_data_shape())
    _expect(dtype.kind in "iuf", path, "one real number for each voxel", f"voxels of type {dtype}")
    _expect(all(n > 0 for n in shape), path, "a volume with voxels", f"an empty one of shape {shape}")
    fits = len(shape) >= 3 and all(n == 1 for n in shape[4:])
    _expect(fits, path, "3-D, or 4-D with sequences last", f"{len(shape)}-D {shape}")
    positive = bool((np.isfinite(spacing) & (spacing > 0)).all())
    _expect(positive, path, "positive voxel spacing (pixdim)", f"{spacing.tolist()} mm")


def _check_affine(affine: Array, name: Path | str) -> Array:
    affine = np.asarray(affine, dtype=np.float64)
    _expect(affine.shape == (4, 4), name, "an affine (4, 4)", f"shape {affine.shape}")
    axes = affine[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    # Relative to the voxel size, so that tiny voxels are not taken for flat ones.
    regular = np.isfinite(affine).all() and lengths.all() and abs(np.linalg.det(axes / lengths)) > 1e-6
    _expect(bool(regular), name, "an invertible affine", affine.tolist())
    return affine


def _to_canonical(native: Array, affine: Array) -> tuple[Array, Array]:
    channels_last = native.reshape(*native.shape[:3], -1)
    orientation = orientations.io_orientation(affine)
    data = orientations.apply_orientation(channels_last, orientation)
    return np.moveaxis(data, -1, 0), affine @ orientations.inv_ornt_aff(orientation, native.shape[:3])


def _check_voxels(data: Array, path: Path, allow_constant: bool) -> None:
    bad_voxels = data.size - int(np.isfinite(data).sum())
    _expect(not bad_voxels, path, "finite voxels", f"{bad_voxels} of {data.size} that are NaN or infinite")
    for channel, values in enumerate(data):
        varies = allow_constant or values.min() < values.max()
        _expect(varies, path, "contrast", f"{values.flat[0]:g} everywhere in channel {channel}")


def _cast(values: Array, dtype: np.dtype[Any], path: Path) -> Array:
    with np.errstate(invalid="ignore"):
        cast = values.astype(dtype)
    exact = dtype.kind not in "iu" or np.array_equal(cast, values)
    _expect(exact, path, f"values that {dtype} can hold", f"values from {values.min()} to {values.max()}")
    return cast
