"""A training says that it begins, how far it is and what each validation found, and no more than that."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from diffad.config import load
from diffad.training import step_lines
from diffad.training.step_lines import StepLines

REPORT = {"loss": 0.25, "lr": 1e-3, "seconds": 4.0}


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(step_lines.time, "monotonic", lambda: now.seconds)
    return now


def make_lines(step=0, speaks_often=True):
    config = load("smoke", ["train.steps=400", "train.batch_size=8", "train.accumulate=2"])
    accelerator = SimpleNamespace(device="cpu")
    run = SimpleNamespace(config=config, step=step, accelerator=accelerator, folder=Path("runs/smoke"))
    return StepLines(run, speaks_often)


@pytest.mark.parametrize(
    ("step", "is_resumed", "text"),
    [(0, False, "cpu: 400 steps of 8;"), (120, True, "cpu: from step 120 on, 400 steps of 8;")],
)
def test_beginning_says_what_is_trained_and_where_it_goes(clock, capsys, step, is_resumed, text):
    make_lines(step).say_start(is_resumed)
    assert capsys.readouterr().err == f"training smoke on {text} log and checkpoints go to runs/smoke\n"


def test_step_is_said_every_ten_seconds_with_the_time_left_at_this_pace(clock, capsys):
    lines = make_lines(step=100)
    for step in range(101, 105):
        clock.seconds += 4.0
        lines.say_step(step, REPORT)
    assert capsys.readouterr().err == "step 103 of 400, loss 0.2500, about 19.8 minutes to go\n"


def test_beside_a_bar_only_validations_are_said(clock, capsys):
    lines = make_lines(speaks_often=False)
    clock.seconds = 60.0
    lines.say_step(20, REPORT)
    assert capsys.readouterr().err == ""
    lines.say_step(40, REPORT | {"val_loss": 0.1})
    assert "step 40 of 400, loss 0.2500, validation loss 0.1000, about 9.0 minutes" in capsys.readouterr().err


def test_last_step_is_said_however_soon(clock, capsys):
    make_lines().say_step(400, REPORT)
    assert capsys.readouterr().err == "step 400 of 400, loss 0.2500\n"
