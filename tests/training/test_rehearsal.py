"""A rehearsal says what a training would do, and leaves nothing but a picture."""

import json

import pytest

from diffad.cli import main
from diffad.config import load
from diffad.io.wording import format_duration
from diffad.training.rehearsal import rehearse


def test_dry_run_shows_the_config_the_costs_and_a_batch(tmp_path, capsys):
    assert main(["train", "smoke", f"output={tmp_path}", "--dry-run"]) == 0
    text = capsys.readouterr().out
    for words in (
        "name: smoke",
        "ema_decay: 0.9",
        "40,489 weights",
        "s a step",
        "MB on cpu",
        "24 training items",
    ):
        assert words in text
    picture = tmp_path / "smoke" / "dry_run.png"
    assert text.endswith(f"nothing was trained; see {picture} for a training batch\n")
    assert [path.name for path in tmp_path.rglob("*")] == ["smoke", "dry_run.png"]


def test_dry_run_tells_programs_the_same(tmp_path, capsys):
    picture = tmp_path / "batch.png"
    words = [f"output={tmp_path}", "--dry-run", "--picture", str(picture), "--json"]
    assert main(["train", "smoke", *words]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    event = next(event for event in events if event["event"] == "rehearsal")
    assert event["config"]["train"]["steps"] == 20
    assert event["total_seconds"] == pytest.approx(20 * event["step_seconds"])
    assert event["picture"] == str(picture)
    assert picture.is_file()


def test_rehearsal_takes_the_steps_of_the_training(tmp_path):
    config = load("smoke", [f"output={tmp_path}"])
    assert rehearse(config).loss == rehearse(config).loss
    assert not any(tmp_path.iterdir())


def test_accumulated_batch_is_counted_once(tmp_path):
    rehearsal = rehearse(load("smoke", [f"output={tmp_path}", "train.batch_size=4", "train.accumulate=2"]))
    assert "24 training items, 4 of them a step" in "\n".join(rehearsal.describe())


def test_picture_belongs_to_a_dry_run(capsys):
    assert main(["train", "smoke", "--picture", "x.png"]) == 2
    assert "--picture: expected --dry-run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4, "4 seconds"), (600, "10.0 minutes"), (9000, "2.5 hours"), (864000, "10.0 days")],
)
def test_times_are_said_in_the_unit_that_suits_them(seconds, text):
    assert format_duration(seconds) == text
