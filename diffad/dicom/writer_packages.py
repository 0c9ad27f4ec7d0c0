"""The packages of the extra ``dicom``, imported on first use, and kept from telling names of patients."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diffad.io.wording import BoundedError


class DicomError(BoundedError):
    """A series that cannot be used, or a result that does not belong to it; no identifier stands in it."""


def load_dicom_package(module: str) -> Any:
    """Import a package of the extra ``dicom``, or a module of it.

    Raises:
        ImportError: If it is missing; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        hint = 'install it: pip install "diffad[dicom]"'
        raise ImportError(f"expected the package {name}, found none ({error}); {hint}") from error


@contextmanager
def hush_packages() -> Iterator[None]:
    """Keep what pydicom and highdicom say of odd values from the console, as these may be of a patient."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    before = [logger.disabled for logger in loggers]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for logger in loggers:
                logger.disabled = True
            yield
    finally:
        for logger, value in zip(loggers, before, strict=True):
            logger.disabled = value
