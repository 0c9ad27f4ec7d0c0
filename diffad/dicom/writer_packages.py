"""The packages of the extra ``dicom``, imported on first use, and kept from telling names of patients."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from diffad.io.wording import BoundedError


class DicomError(BoundedError):
    """A series that cannot be used, or a result that does not belong to it; no identifier stands in it."""


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
