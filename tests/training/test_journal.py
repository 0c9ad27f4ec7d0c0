"""The log of a run that goes on is read from a regular file alone."""

import os
from types import SimpleNamespace

import pytest

from diffad.io.files import FileError
from diffad.training.journal import RunLog


def test_pipe_for_a_log_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "log.jsonl")
    log = RunLog.__new__(RunLog)
    log.is_resumed, log.path, log.trainer = True, tmp_path / "log.jsonl", SimpleNamespace(step=3)
    with pytest.raises(FileError, match=r"log\.jsonl: expected a regular file, found a named pipe"):
        log._read_earlier_lines()
