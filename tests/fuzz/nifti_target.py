"""Scans and masks from strangers: bytes and fields of their headers mutated, read, cut, and a map written."""

import gzip
import struct
import zlib

import nibabel as nib
import numpy as np
import torch

from diffad.config import SpaceConfig
from diffad.config.reading import ReadOptions
from diffad.data.affine import measure_shift
from diffad.data.scan_slices import cut_slices, read_scan
from diffad.data.space import Space
from diffad.data.volume import Volume, require_same_grid
from tests.fuzz.mutations import mutate_bytes
from tests.fuzz.pool import WrongResultError

SHAPE = (20, 24, 18)
AFFINE = np.array([[-2.5, 0.1, 0, 25], [0.1, 2.4, 0.2, -30], [0, -0.2, 3, -20], [0, 0, 0, 1.0]])
KINDS = (".nii", ".nii.gz", ".nii.gz", "2.nii", "-4d.nii.gz", ".hdr", ".hdr", ".mgz", ".mgh", "-analyze.hdr")
"""What a base file is, and the end of its name."""
INTEGERS = (0, 1, -1, 2, 3, 4, 5, 7, 8, 9, 255, 2047, 32767, -32768, 2**31 - 1, -(2**31), 2**40, 2**63 - 1)
FLOATS = (
    0.011,
    400,
    0,
    -0.0,
    1,
    -1,
    0.001,
    1e-30,
    1e-12,
    1000,
    1e6,
    1e20,
    1e38,
    -1e38,
    352,
    351.5,
    2**26,
    2**31,
    1e300,
)
NOT_FINITE = (float("nan"), float("inf"), float("-inf"))
FIELDS = (
    ("dim", 3), ("pixdim", 3), ("datatype", 2), ("bitpix", 1), ("vox_offset", 2), ("scl_slope", 2),
    ("scl_inter", 2), ("qform_code", 2), ("sform_code", 2), ("quatern_b", 1), ("quatern_c", 1),
    ("quatern_d", 1), ("qoffset_x", 1), ("srow_x", 2), ("srow_y", 1), ("srow_z", 1), ("xyzt_units", 2),
    ("magic", 1), ("sizeof_hdr", 1), ("delims", 2), ("Mdc", 3), ("Pxyz_c", 1), ("goodRASFlag", 1),
    ("type", 2),
)  # fmt: skip
"""Fields of headers and how often they are mutated; no kind of file has all of them."""
MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}


class NiftiTarget:
    """A small scan and its mask as NIfTI-1, NIfTI-2, pair, Analyze and MGH."""

    names_file = True

    def prepare(self):
        """Make the voxels, and read one file."""
        torch.set_num_threads(1)
        draw = np.random.default_rng(0)
        distances = np.linalg.norm(np.indices(SHAPE).T / (np.array(SHAPE) - 1) * 2 - 1, axis=-1).T
        self.mask = (distances < 0.8).astype(np.uint8)
        self.voxels = (self.mask * draw.integers(50, 900, SHAPE)).astype(np.int16)
        Space(SpaceConfig(size=16)).place(torch.rand(2, 1, 9, 8), torch.ones(2, 1, 9, 8, dtype=torch.bool))

    def mutate(self, rng, folder):
        """Write ``scan`` and ``mask`` in one format each, and mutate one of their files."""
        scan, mask = rng.choice(KINDS), rng.choice(KINDS[:6])
        files = {f"scan{scan}": self.voxels, f"mask{mask}": self.mask}
        for name, voxels in files.items():
            _write(folder / name, np.stack([voxels] * 2, -1) if "scan-4d" in name else voxels)
        target = folder / rng.choice((f"scan{scan}", f"scan{scan}", f"scan{scan}", f"mask{mask}"))
        if target.suffix == ".hdr" and rng.random() < 0.2:
            target = target.with_suffix(".img")
        changes = [_mutate_file(rng, target) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
        return f"{target.name}: {'; '.join(changes)}"

    def feed(self, folder):
        """Read scan and mask, compare with nibabel, cut and place slices, and write a map on the grid."""
        scan, mask = (
            next(p for p in sorted(folder.iterdir()) if p.name.startswith(n)) for n in ("scan", "mask")
        )
        volume = Volume.load(scan, options=ReadOptions())
        if not volume.warnings:
            check_grid(scan, volume)
        check_map(volume, folder / "map.nii.gz")
        volume, brain = read_scan(volume, mask)
        image, region = torch.from_numpy(volume.data), torch.from_numpy(brain)[None]
        slices = cut_slices(image, region, "axial", volume.spacing.tolist(), None, str(scan))
        try:  # as training and prediction do
            x, *_ = Space(SpaceConfig(size=16)).place(
                slices.image, slices.brain, slices.spacing, slices.centre
            )
        except ValueError as error:
            raise ValueError(f"{scan}: {error}") from error
        if not x.isfinite().all():
            raise WrongResultError("slices that are not finite")
        return bool(volume.warnings)


def _write(path, voxels):
    image_class = {".mgz": nib.MGHImage, ".mgh": nib.MGHImage, ".hdr": nib.Nifti1Pair}.get(path.suffix)
    if "-analyze" in path.name:
        image_class = nib.Spm2AnalyzeImage
    image = (image_class or (nib.Nifti2Image if "2." in path.name else nib.Nifti1Image))(voxels, AFFINE)
    if isinstance(image, nib.Nifti1Pair):
        image.set_qform(AFFINE, 1)
        image.set_sform(AFFINE, 1)
        image.header.set_xyzt_units("mm")
    nib.save(image, path)


def _mutate_file(rng, path):
    """Mutate a file in place: bytes of it, bytes of what is in it, or a field of its header."""
    content = path.read_bytes()
    is_compressed = path.suffix in (".gz", ".mgz")
    kind = rng.choice(("bytes", "inner", "inner", "field", "field", "field", "field", "field"))
    if kind == "bytes" or path.suffix == ".img":
        content, change = mutate_bytes(rng, content)
        path.write_bytes(content)
        return f"bytes: {change}"
    try:
        inner = gzip.decompress(content) if is_compressed else content
    except (OSError, EOFError, zlib.error):
        return "nothing: damaged before"
    inner, change = _mutate_header(rng, inner) if kind == "inner" else _mutate_field(rng, inner, path)
    path.write_bytes(gzip.compress(inner, 1) if is_compressed else inner)
    return f"{kind}: {change}"


def _mutate_header(rng, content):
    if rng.random() < 0.3:
        return mutate_bytes(rng, content)
    head, change = mutate_bytes(rng, content[:352])
    return head + content[352:], f"header {change}"


def _mutate_field(rng, content, path):
    try:
        header = _parse_header(content, path)
    except Exception as error:
        return content, f"nothing: damaged before ({type(error).__name__})"
    dtype = header._structarr.dtype
    names = [name for name, weight in FIELDS for _ in range(weight) if name in dtype.names]
    name = rng.choice(names)
    kind, offset = dtype.fields[name][:2]
    item = kind.base
    count = int(np.prod(kind.shape)) if kind.shape else 1
    place = rng.randrange(count)
    value = rng.choice(FLOATS + NOT_FINITE) if item.kind == "f" else rng.choice(INTEGERS)
    if item.kind == "S":
        raw = rng.choice((b"n+1\0", b"ni1\0", b"n+2\0", b"ni2\0", b"\0" * 4, b"n+9\0", b"abc"))
        raw = raw[: item.itemsize].ljust(item.itemsize, b"\0")
    else:
        with np.errstate(all="ignore"):
            raw = np.array(value).astype(item).tobytes()
    start = offset + place * item.itemsize
    return content[:start] + raw + content[start + len(raw) :], f"{name}[{place}] = {value!r}"


def _parse_header(content, path):
    if path.suffix in (".mgz", ".mgh"):
        return nib.freesurfer.mghformat.MGHHeader(content[:284], check=False)
    header_class = nib.Nifti2Header if struct.unpack("<i", content[:4])[0] == 540 else nib.Nifti1Header
    if "-analyze" in path.name:
        header_class = nib.Spm2AnalyzeImage.header_class
    return header_class(content[: header_class.sizeof_hdr], check=False)


def read_with_nibabel(path):
    """Read a file as nibabel does; none where it refuses it."""
    try:
        image = nib.load(path)
        scale = 1.0
        if isinstance(image, nib.Nifti1Pair):
            scale = MILLIMETRES[int(image.header["xyzt_units"]) & 7]
        return np.diag([scale, scale, scale, 1]) @ image.affine, image.get_fdata()
    except Exception:
        return None


def check_grid(path, volume):
    """Compare a volume that was read without a warning with nibabel's reading of it."""
    if (reading := read_with_nibabel(path)) is None:
        return
    affine, voxels = reading
    stored = volume.origin.affine
    shape = voxels.shape[:3]
    order = nib.orientations.io_orientation(stored)
    ours = nib.orientations.apply_orientation(
        voxels.reshape(*shape, -1), order
    )  # nibabel's voxels, turned by our affine
    if ours.shape[:3] != volume.data.shape[1:] or ours.shape[3] != len(volume.data):
        raise WrongResultError(f"shape {volume.data.shape}, nibabel reads {voxels.shape}")
    if (shift := measure_shift(stored, affine, shape)) > 0.05:
        raise WrongResultError(f"affine {stored.tolist()}, {shift} voxels off nibabel's {affine.tolist()}")
    difference = np.abs(np.moveaxis(ours, -1, 0) - volume.data).max()
    if not difference <= 1e-5 * np.abs(ours).max():
        raise WrongResultError(f"voxels up to {difference} off those of nibabel")


def check_map(volume, path):
    """Write a map of a volume, and compare its grid, as we and as nibabel read it."""
    volume.save(volume.data[0] > 0, path, np.uint8)
    again = Volume.load(path, allow_constant=True)
    if require_same_grid(again, volume):
        raise WrongResultError("a map that is off the grid of its scan")
    if not np.array_equal(again.data[0], volume.data[0] > 0):
        raise WrongResultError("a map whose voxels are elsewhere")
    scan, back = (read_with_nibabel(p) for p in (volume.path, path))
    is_nifti = volume.path.suffix in (".gz", ".nii") and scan and back and np.isfinite(scan[0]).all()
    if is_nifti and measure_shift(back[0], scan[0], SHAPE) > 0.05:
        raise WrongResultError(f"a map at {back[0].tolist()} of a scan at {scan[0].tolist()}, by nibabel")
