"""Files of users, opened so that nothing waits or reads for ever: regular files with content alone."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from diffad.io.wording import MAX_LINE, shorten

POINTER_BYTES = 1024
"""Git LFS and git-annex keep pointers to content in files that are shorter than this."""

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
}

TROUBLES = {
    errno.ENOENT: "no such file",
    errno.ENOTDIR: "no such file",
    errno.ELOOP: "a link that leads back to itself",
    errno.EACCES: "a file that may not be read",
    errno.EPERM: "a file that may not be read",
    errno.ENAMETOOLONG: "a name that is too long",
}

FETCH_ANNEX = "a git-annex pointer; fetch its content first with git annex get or datalad get"
FETCH_LFS = "a Git LFS pointer; fetch its content first with git lfs pull"


class FileError(OSError, ValueError):
    """A path that is no regular file with content; the message names it and what was found."""

    def __init__(self, message: object) -> None:
        super().__init__(shorten(message, MAX_LINE))


def require_file(path: Path | str, expectation: str = "a regular file") -> Path:
    """Return the path of a regular file; links that lead to one are fine.

    Args:
        path: File of a user.
        expectation: What an error says was expected.

    Raises:
        FileError: If it is missing, a folder, a pipe, a device, a socket, a link that leads nowhere or to
            itself, or a link to content that must be fetched first.
    """
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: expected {expectation}, found {_describe_trouble(path, error)}") from error
    if not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "something else")
        raise FileError(f"{path}: expected {expectation}, found {kind}")
    return Path(path)


def open_regular(path: Path | str, expectation: str = "a regular file") -> BufferedReader:
    """Open a regular file for reading bytes, without waiting for one that is none.

    Args:
        path: File of a user.
        expectation: What an error says was expected.

    Raises:
        FileError: If it is no regular file, cannot be opened, or only points to its content.
    """
    require_file(path, expectation)
    # The file may have been swapped for a pipe since: O_NONBLOCK keeps even that from waiting.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        file = os.fdopen(os.open(path, flags | getattr(os, "O_CLOEXEC", 0)), "rb")
    except OSError as error:
        raise FileError(f"{path}: expected {expectation}, found {_describe_trouble(path, error)}") from error
    try:
        _check_content(file, path, expectation)
    except BaseException:
        file.close()
        raise
    return file


def read_regular(path: Path | str, limit: int, expectation: str = "a regular file") -> bytes:
    """Read a regular file of at most ``limit`` bytes.

    Raises:
        FileError: As ``open_regular``, or if the file is larger.
    """
    with open_regular(path, expectation) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise FileError(f"{path}: expected {expectation} of at most {limit} bytes, found a larger one")
    return content


def describe_pointer(content: bytes) -> str | None:
    """Say what a file that merely points to its content is, and how to fetch it; none if it is another file.

    Args:
        content: First bytes of the file.
    """
    if content.startswith(b"version https://git-lfs.github.com/spec/"):
        return FETCH_LFS
    # Where links are not possible, git writes where they would lead into a file.
    is_text = content[:1] in (b"/", b".") and b"\0" not in content
    return FETCH_ANNEX if is_text and b"annex/objects/" in content else None


def _check_content(file: BufferedReader, path: Path | str, expectation: str) -> None:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise FileError(f"{path}: expected {expectation}, found {KINDS.get(stat.S_IFMT(status.st_mode))}")
    if status.st_size <= POINTER_BYTES:
        pointer = describe_pointer(file.read(POINTER_BYTES))
        file.seek(0)
        if pointer:
            raise FileError(f"{path}: expected {expectation}, found {pointer}")


def _describe_trouble(path: Path | str, error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return f"no name of a file ({error})"
    if error.errno == errno.ENOENT and Path(path).is_symlink():
        target = str(Path(path).readlink())
        return FETCH_ANNEX if "annex/objects/" in target else f"a link to {target}, which is not there"
    return TROUBLES.get(error.errno or 0, error.strerror or str(error))
