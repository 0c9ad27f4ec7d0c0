"""Volumes from strangers: fields of headers and bytes of files, in every format, read and written again."""

import contextlib
import gzip
import io
import math
import struct

import nibabel as nib
import numpy as np

from diffad.data.volume import Volume
from tests.fuzz.mutations import mutate_bytes
from tests.fuzz.pool import WrongResultError

SHAPE = (7, 9, 8)
NUMBERS = (0, 1, -1, 2, 3, 7, 15, 127, 255, 1024, 2000, 32767, -32768, 2**31 - 1, 1e-30, 1e30, 0.5, -4.0)
NOT_FINITE = (math.nan, math.inf, -math.inf)
CLASSES = {
    "s.nii": nib.Nifti1Image,
    "s.nii.gz": nib.Nifti1Image,
    "t.nii": nib.Nifti2Image,
    "t.nii.gz": nib.Nifti2Image,
    "p.hdr": nib.Nifti1Pair,
    "q.hdr": nib.Nifti2Pair,
    "a.hdr": nib.Spm2AnalyzeImage,
    "m.mgh": nib.MGHImage,
    "m.mgz": nib.MGHImage,
}


def make_files(kind, name):
    """Return the contents of the files of one volume, by name; compressed ones as they are inside."""
    rng = np.random.default_rng(3)
    data = rng.integers(0, 900, (*SHAPE, 2)[: rng.integers(3, 5)]).astype(np.int16)
    affine = np.array([[-20.0, 3, 0, 50], [3, 25, 1, -90], [0, -1, 30, -40], [0, 0, 0, 1]])
    image = kind(data, affine if kind is not nib.Spm2AnalyzeImage else np.diag([-20, 25, 30, 1]))
    if isinstance(image, nib.Nifti1Pair):
        image.set_qform(affine, 1)
        image.set_sform(affine, 2)
        image.header.set_xyzt_units("mm")
    files = {key: nib.FileHolder(fileobj=io.BytesIO()) for key, _ in kind.files_types}
    image.to_file_map(files)
    stem = name.partition(".")[0]
    names = {"header": f"{stem}.hdr", "image": f"{stem}.img" if len(files) > 1 else name}
    return {names[key]: file.fileobj.getvalue() for key, file in files.items() if key in names}


class VolumeTarget:
    """A small volume in every format."""

    names_file = True

    def prepare(self):
        """Make one good volume of every format."""
        self.files = {name: make_files(kind, name) for name, kind in CLASSES.items()}

    def mutate(self, rng, folder):
        """Write one volume into the folder."""
        name = rng.choice(list(self.files))
        contents = dict(self.files[name])
        part = rng.choice(list(contents))
        kind = rng.choice(("field", "field", "field", "bytes", "outside"))
        change = "outside"
        if kind == "field" and name in contents:
            contents[name], change = self._set_fields(rng, name, contents[name])
        elif kind == "bytes":
            contents[part], change = mutate_bytes(rng, contents[part])
        for key, content in contents.items():
            packed = gzip.compress(content, 1, mtime=0) if key.endswith(("z", "Z")) else content
            if kind == "outside" and key == part:
                packed, change = mutate_bytes(rng, packed)
            (folder / key).write_bytes(packed)
        (folder / "name").write_text(name)
        return f"{name} {change}"

    def _set_fields(self, rng, name, content):
        kind, changes = CLASSES[name], []
        dtype = kind.header_class().structarr.dtype if "m" not in name[0] else None
        order = ">" if dtype is None else "<"
        for _ in range(rng.choice((1, 1, 2, 5))):
            if dtype is None:
                offset, code, field = rng.randrange(0, 90, 2), rng.choice("hif"), "bytes"
            else:
                field = rng.choice(dtype.names)
                offset, code = self._choose_item(rng, dtype, field)
            value = rng.choice((*NUMBERS, *NOT_FINITE))
            packed = pack(order + code, value)
            content = content[:offset] + packed + content[offset + len(packed) :]
            changes.append(f"{field} at {offset}: {value}")
        return content, "; ".join(changes)

    @staticmethod
    def _choose_item(rng, dtype, field):
        inner, offset = dtype.fields[field][:2]
        base = inner.base if inner.subdtype is None else inner.subdtype[0]
        items = inner.itemsize // max(base.itemsize, 1)
        codes = {"f4": "f", "f8": "d", "i2": "h", "i4": "i", "i8": "q"}
        return offset + base.itemsize * rng.randrange(max(items, 1)), codes.get(base.str[1:], "B")

    def feed(self, folder):
        """Read the volume as a user would, write a map of it, and compare both with nibabel."""
        path = folder / (folder / "name").read_text()
        volume = Volume.load(path)
        volume.save(volume.data, folder / "map.nii.gz")
        again = Volume.load(folder / "map.nii.gz", allow_constant=True)
        if again.data.shape != volume.data.shape or not np.array_equal(again.data, volume.data):
            raise WrongResultError("a map has other voxels than what was written")
        if not np.allclose(again.affine, volume.affine, rtol=1e-3, atol=1e-2):
            raise WrongResultError(f"a map lies elsewhere: {again.affine} for {volume.affine}")
        if not volume.warnings:
            with contextlib.suppress(nib.filebasedimages.ImageFileError):  # of a length of header that is off
                compare(volume, nib.as_closest_canonical(nib.load(path)))
        return bool(volume.warnings)


def compare(volume, image):
    """Compare a volume that was read without a word with what nibabel reads."""
    if not np.allclose(image.affine, volume.affine, rtol=1e-3, atol=1e-2):
        raise WrongResultError(f"nibabel has another affine: {image.affine} for {volume.affine}")
    data = np.asarray(image.dataobj, dtype=np.float32).reshape(*image.shape[:3], -1)
    if not np.array_equal(np.moveaxis(data, -1, 0), volume.data):
        raise WrongResultError("nibabel has other voxels")


def pack(code, value):
    """Return a number as bytes, as far as the type can hold it."""
    if code[-1] in "fd":
        return struct.pack(code, max(min(value, 3e38), -3e38) if math.isfinite(value) else value)
    size = struct.calcsize(code)
    whole = int(value) if math.isfinite(value) else -1
    return (whole % 2 ** (8 * size)).to_bytes(size, "big" if code[0] == ">" else "little")
