"""A disk that takes nothing any more, told from a scan that cannot be written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffad.predict.outcome import DISK_ERRORS, WriteError


@contextmanager
def watch_disk(out: Path, what: str) -> Iterator[None]:
    """Write a file of the results; the table is one without which there is no use in going on.

    Args:
        out: Folder of the results.
        what: The scan, or the file, for the message.

    Raises:
        WriteError: If nothing more can be written there.
        OSError: If this scan alone cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_ERRORS and what != "results.csv":
            raise
        reason = error.strerror or str(error)
        hint = "the files of finished scans are whole; run the same command to go on"
        raise WriteError(error.errno, f"{out}: cannot write {what} ({reason}); {hint}") from error
