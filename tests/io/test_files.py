"""Files of users: nothing but regular files with content is opened, and nothing waits."""

import errno
import os
import socket
from pathlib import Path

import pytest

from diffad.io import files
from diffad.io.files import FileError, open_regular, read_regular, require_file

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
KEY = "SHA256E-s12--ab.nii.gz"


def make_socket(path):
    server = socket.socket(socket.AF_UNIX)
    folder = Path.cwd()
    try:
        os.chdir(path.parent)  # names of sockets are short
        server.bind(path.name)
    finally:
        os.chdir(folder)
        server.close()


ODD = {
    "a named pipe": os.mkfifo,
    "a character device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": make_socket,
    "a folder": Path.mkdir,
    "no such file": lambda path: None,
    "a link to nowhere, which is not there": lambda path: path.symlink_to("nowhere"),
    "a link that leads back to itself": lambda path: path.symlink_to(path.name),
    "git annex get or datalad get": lambda path: path.symlink_to(f"../.git/annex/objects/Xx/Yy/{KEY}/{KEY}"),
    "git lfs pull": lambda path: path.write_text(LFS),
    "with git annex get": lambda path: path.write_text(f"/annex/objects/{KEY}\n"),
    "fetch its content first": lambda path: path.write_text(f"../.git/annex/objects/Xx/Yy/{KEY}/{KEY}"),
}


@pytest.mark.parametrize("finding", ODD)
def test_what_is_no_file_with_content_is_refused_by_name_and_kind(tmp_path, finding):
    path = tmp_path / "x.nii.gz"
    ODD[finding](path)
    with pytest.raises(FileError, match=r"x\.nii\.gz: expected a scan, found ") as caught:
        open_regular(path, "a scan")
    assert finding in str(caught.value)
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value, ValueError)


def test_name_that_is_too_long_or_impossible_is_refused(tmp_path):
    with pytest.raises(FileError, match="a name that is too long"):
        require_file(tmp_path / ("x" * 300))
    with pytest.raises(FileError, match="no name of a file"):
        require_file("a\0b")


def test_pipe_that_takes_the_place_of_a_file_does_not_block(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "x")
    monkeypatch.setattr(files, "require_file", lambda path, expectation: path)
    with pytest.raises(FileError, match="a named pipe"):
        open_regular(tmp_path / "x")


def test_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    (tmp_path / "x").write_bytes(b"1")

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(FileError, match="found a file that may not be read"):
        open_regular(tmp_path / "x")


def test_regular_files_and_links_to_them_are_read_from_their_start(tmp_path):
    (tmp_path / "x").write_bytes(b"/annex is a word, too")
    (tmp_path / "link").symlink_to("x")
    for name in ("x", "link"):
        assert require_file(tmp_path / name) == tmp_path / name
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"/annex is a word, too"
    assert read_regular(tmp_path / "x", 100) == b"/annex is a word, too"


def test_file_beyond_the_limit_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(bytes(11))
    assert read_regular(tmp_path / "x", 11) == bytes(11)
    with pytest.raises(FileError, match="at most 10 bytes"):
        read_regular(tmp_path / "x", 10)
