"""The bundled copy of NiiVue, and how to bundle it again.

npm pack @niivue/niivue@0.69.0
python -m diffad.report.viewer.bundle niivue-niivue-0.69.0.tgz
"""

from __future__ import annotations

import gzip
import hashlib
import sys
import tarfile
from pathlib import Path

VERSION = "0.69.0"
SHA256 = "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af"
"""Of ``package/dist/niivue.umd.js`` in the package of that version."""
FILE = Path(__file__).with_name("niivue.umd.js.gz")


def read_viewer() -> bytes:
    """Return NiiVue, compressed.

    Raises:
        OSError: If the copy is missing or is another file.
    """
    raw = FILE.read_bytes()
    if hashlib.sha256(gzip.decompress(raw)).hexdigest() != SHA256:
        raise OSError(f"{FILE}: expected NiiVue {VERSION}, found another file")
    return raw


def bundle_viewer(package: Path) -> None:
    """Compress the viewer out of a package of ``npm pack``; the same package gives the same bytes.

    Raises:
        ValueError: If it is another version.
    """
    with tarfile.open(package) as archive:
        member = archive.extractfile("package/dist/niivue.umd.js")
        assert member is not None
        raw = member.read()
    if (digest := hashlib.sha256(raw).hexdigest()) != SHA256:
        raise ValueError(f"{package}: expected NiiVue {VERSION} ({SHA256}), found {digest}")
    FILE.write_bytes(gzip.compress(raw, 9, mtime=0))


if __name__ == "__main__":
    bundle_viewer(Path(sys.argv[1]))
