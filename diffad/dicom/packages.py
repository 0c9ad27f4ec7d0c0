"""The packages of the extra ``dicom``, imported when they are needed."""

from __future__ import annotations

from pathlib import Path

from diffad.io.extras import import_extra

HINT = 'install it: pip install "diffad[dicom]"'


def find_converter() -> Path:
    """Return the program dcm2niix of the package of that name; what lies on the PATH is not asked.

    Raises:
        ImportError: If the package or its program is missing.
    """
    path = Path(import_extra("dcm2niix", "dicom").bin)
    if not path.is_file():
        raise ImportError(f"expected the program of the package dcm2niix, found none; {HINT}")
    return path
