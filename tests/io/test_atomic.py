"""Files appear whole or not at all."""

import errno
from pathlib import Path

import pytest

from diffad.io.atomic import write_bytes, write_text


def test_text_replaces_what_was_there_and_leaves_no_scraps(tmp_path):
    for text in ("one", "zwei ü"):
        write_text(tmp_path / "t.json", text)
    assert (tmp_path / "t.json").read_text(encoding="utf-8") == "zwei ü"
    assert [p.name for p in tmp_path.iterdir()] == ["t.json"]


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    write_text(tmp_path / "t", "x")
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "t").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_full_disk_names_the_file_and_keeps_the_old_one(tmp_path, monkeypatch):
    write_text(tmp_path / "t", "old")
    real = Path.write_bytes

    def full(self, content):
        real(self, content[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/t'"):
        write_bytes(tmp_path / "t", b"new")
    assert (tmp_path / "t").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["t"]
