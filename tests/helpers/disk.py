"""A disk that is full, or pulled out, just when files of some name are to appear."""

import errno
import os
from fnmatch import fnmatch

from diffad.io import atomic


def fill_disk(patch, pattern="*", error=None):
    """Let files and folders whose names fit a pattern fail in the last step, after all has been written."""
    put_in_place = atomic.put_in_place

    def fail(partial, target):
        if fnmatch(target.name, pattern):
            raise error or OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        put_in_place(partial, target)

    patch.setattr(atomic, "put_in_place", fail)
