"""The error of data sets that cannot be used."""

from __future__ import annotations

from diffad.io.wording import BoundedError


class DataError(BoundedError):
    """A data set that cannot be used; the message names the file or folder."""
