"""The packages of the extra ``dicom``, imported when they are needed."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

HINT = 'install it: pip install "diffad[dicom]"'


def import_dicom_extra(module: str) -> Any:
    """Import a package of the extra ``dicom``.

    Raises:
        ImportError: If it is missing; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise ImportError(f"expected the package {name}, found none ({error}); {HINT}") from error


def find_converter() -> Path:
    """Return the program dcm2niix of the package of that name; what lies on the PATH is not asked.

    Raises:
        ImportError: If the package or its program is missing.
    """
    path = Path(import_dicom_extra("dcm2niix").bin)
    if not path.is_file():
        raise ImportError(f"expected the program of the package dcm2niix, found none; {HINT}")
    return path
