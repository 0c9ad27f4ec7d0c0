"""A cohort of odd files, as other people's scanners, archives and clusters leave them."""

import gzip
import os
import socket
import struct
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np

from tests.helpers.cohorts import AFFINE, brain, write

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"
ANNEX = "../.git/annex/objects/aa/bb/SHA256E-s9--00.nii.gz/SHA256E-s9--00.nii.gz"


def header(shape, **fields):
    """Bytes of a NIfTI header that claims a shape, without voxels."""
    head = nib.Nifti1Header()
    head.set_data_dtype(np.float32)
    head["dim"][: len(shape) + 1] = (len(shape), *shape)
    head["pixdim"][:8] = 1
    head["vox_offset"], head["magic"], head["sform_code"] = 352, b"n+1", 1
    head["srow_x"][0] = head["srow_y"][1] = head["srow_z"][2] = 1
    for name, value in fields.items():
        head[name] = value
    return head.binaryblock + b"\0" * 4


def write_bomb(path, size=2**29):
    """A gzip file of a few MB at most that holds ``size`` zeros behind a small header."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    with path.open("wb") as file:
        file.write(packer.compress(header((4, 4, 4))))
        block = b"\0" * 2**24
        for _ in range(size // len(block)):
            file.write(packer.compress(block))
        file.write(packer.flush())


def make_socket(path):
    """A socket; its short name is relative, as names of sockets are limited."""
    before = Path.cwd()
    try:
        os.chdir(path.parent)
        server = socket.socket(socket.AF_UNIX)
        server.bind(path.name)
        server.close()
    finally:
        os.chdir(before)


def write_bytes(content):
    """Return what writes these bytes."""
    return lambda path: path.write_bytes(content)


def link_to(target):
    """Return what makes a link."""
    return lambda path: path.symlink_to(target)


def save(data, affine=AFFINE, **fields):
    """Return what writes a volume with some fields of its header changed."""

    def write_volume(path):
        image = nib.Nifti1Image(data, affine)
        image.header.set_xyzt_units("mm")
        for name, value in fields.items():
            image.header[name] = value
        nib.save(image, path)

    return write_volume


def with_nan():
    data = brain()
    data[12, 14, 5] = np.nan
    return data


RGB = np.zeros((8, 8, 8), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
WHOLE = gzip.compress(nib.Nifti1Image(brain(), AFFINE).to_bytes())

BAD = {
    "pipe": os.mkfifo,
    "zeros": link_to("/dev/zero"),
    "noise": link_to("/dev/urandom"),
    "null": link_to("/dev/null"),
    "itself": link_to("itself.nii.gz"),
    "nowhere": link_to("absent.nii.gz"),
    "annex-link": link_to(ANNEX),
    "annex-text": write_bytes(ANNEX.encode()),
    "lfs": write_bytes(LFS),
    "socket": make_socket,
    "claims-12-gb": write_bytes(header((2000, 2000, 1500)) + b"\0" * 90_000),
    "bomb": write_bomb,
    "empty": write_bytes(b""),
    "text": write_bytes(b"no scan at all"),
    "truncated": write_bytes(WHOLE[:-100]),
    "flipped": write_bytes(WHOLE[:-6] + b"\xff\xff" + WHOLE[-4:]),
    "nan": save(with_nan()),
    "constant": save(np.ones((8, 8, 8), np.float32)),
    "zero": save(np.zeros((8, 8, 8), np.float32)),
    "flat": save(np.ones((8, 8), np.float32)),
    "time": save(np.random.default_rng(0).random((6, 6, 6, 1, 2)).astype(np.float32)),
    "colour": save(RGB),
    "complex": save(np.ones((6, 6, 6), np.complex64)),
    "singular": write_bytes(header((4, 4, 4), srow_z=[0, 0, 0, 0]) + struct.pack("<64f", *range(64))),
    "tiny-voxels": save(brain(), np.diag([0.001, 0.001, 6.8, 1])),
    "x" * 244: save(brain()),
}
"""Files that cannot be used, by name, and what makes them."""

FINE = {
    "good": save(brain(1)),
    "line\nfailed forged: end": save(brain(2)),
    "esc\x1b[2J\x1b]0;title\x07": save(brain(3)),
    "[bold]rich[red]": save(brain(4)),
    "=cmd|'!A0": save(brain(5)),
    os.fsdecode(b"latin-\xe9\xff"): save(brain(6)),
    "metres": save(brain(7), AFFINE @ np.diag([1e-3, 1e-3, 1e-3, 1]), xyzt_units=1),
    "space in it": save(brain(8)),
}
"""Files with odd names or headers that can be used."""


def make_cohort(folder):
    """Write all of them, bad and fine, into a folder."""
    folder.mkdir(parents=True)
    for name, make in {**BAD, **FINE}.items():
        make(folder / f"{name}.nii.gz")
    (folder / "folder.nii.gz").mkdir()
    write(folder / "folder.nii.gz" / "inside.nii.gz", brain(9))
    return folder
