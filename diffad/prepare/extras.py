"""The packages that preparing needs, found when they are needed."""

from __future__ import annotations

import importlib
import os
from importlib import metadata
from typing import Any


def import_extra(module: str) -> Any:
    """Import a package of the extra ``prepare``.

    Raises:
        ImportError: If it is not there; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise ImportError(f'{name} is needed for this: pip install "diffad[prepare]" ({error})') from error


def package_version(package: str) -> str:
    """Return the version of an installed package, or "unknown"."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def count_threads(threads: int = 0) -> int:
    """Return a number of threads: as asked for, or (0) one for each core this process may use."""
    return threads or len(os.sched_getaffinity(0))
