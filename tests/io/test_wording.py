"""No value from a file fills a terminal."""

import pytest

from diffad.config import ConfigError
from diffad.config.plugins import PluginError
from diffad.data.items import DataError
from diffad.data.layouts.base import Listing
from diffad.data.volume import VolumeError
from diffad.io.files import FileError
from diffad.io.terminal import format_error
from diffad.io.wording import MAX_LINE, BoundedError, shorten
from diffad.models.folder import ModelError
from diffad.predict.results import COLUMNS, ResultRow, Results
from diffad.training.checkpoint import CheckpointError

LONG = f"FILE: expected a number, found {'9' * 100_000}; mend it"


@pytest.mark.parametrize(
    "kind",
    [BoundedError, CheckpointError, ConfigError, DataError, FileError, ModelError, PluginError, VolumeError],
)
def test_errors_keep_both_ends_of_a_long_message(kind):
    text = str(kind(LONG))
    assert len(text) == MAX_LINE
    assert text.startswith("FILE: expected a number")
    assert text.endswith("; mend it")
    assert str(kind("FILE: short")) == "FILE: short"


@pytest.mark.parametrize(
    "error", [ValueError(LONG), KeyError(LONG), OSError(36, "File name too long", "x" * 9000)]
)
def test_what_a_terminal_shows_of_an_error_is_bounded(error):
    assert len(format_error(error)) <= MAX_LINE


def test_problems_of_a_data_set_are_bounded():
    assert Listing("x", problems=[LONG, "short"]).problems == [shorten(LONG, MAX_LINE), "short"]


def test_a_table_of_many_columns_is_refused_in_a_line(tmp_path):
    (tmp_path / "results.csv").write_text(",".join(COLUMNS) + "," * 100_000 + "\n")
    with pytest.raises(ValueError, match=r"results.csv: expected the columns") as error:
        Results(tmp_path / "results.csv")
    assert len(str(error.value)) <= MAX_LINE


def test_cells_that_cannot_be_printed_are_shown_by_number_when_read_and_written_alike(tmp_path):
    path = tmp_path / "results.csv"
    path.write_bytes((",".join(COLUMNS) + "\n").encode() + b"s\0\x1b[2J,ok,1,,,,,,\n")
    results = Results(path)
    assert list(results.rows) == ["s\\x00\\x1b[2J"]
    results.add(ResultRow("new", "ok"))
    assert list(Results(path).rows) == ["s\\x00\\x1b[2J", "new"]
