"""What commands say: to people on a terminal and in a pipe, to programs, into a file."""

import json
import re

import pytest
import typer

from diffad.cli import main
from diffad.cli.app import app
from diffad.io.progress import Progress
from tests.test_public_surface import EVENTS, TALK, missing


def walk(command, name=""):
    """All commands with their full names."""
    commands = getattr(command, "commands", None)
    if commands is None:
        return {name: command}
    return {k: v for n, c in commands.items() for k, v in walk(c, f"{name} {n}".strip()).items()}


COMMANDS = walk(typer.main.get_command(app))


def options_of(command):
    return {p.opts[-1]: p for p in COMMANDS[command].params if p.opts[0].startswith("-")}


def order_of(command):
    return [*options_of(command)]


OWN_WORDS = {
    "--out": "what is written differs",
    "--model": "predict may also choose one",
    "--sampler": "calibrate makes it the model's own",
    "--score": "calibrate makes it the model's own",
    "--layout": "of results, and of data",
    "--precision": "of a network, and of its export",
    "--modality": "of scans, and contrasts of phantoms",
    "--spacing": "kept, or made",
    "--picture": "of what there is",
    "--count": "of what there is",
}
"""Options that mean somewhat else in another command, and why."""


def test_same_option_has_the_same_words_and_form_on_all_commands():
    forms = {}
    for command in COMMANDS:
        for name, option in options_of(command).items():
            own = (tuple(option.opts), option.metavar, option.help, option.is_flag, option.multiple)
            forms.setdefault(name, set()).add(own)
    assert {name for name, own in forms.items() if len(own) > 1} == {*OWN_WORDS}


def test_same_options_stand_in_the_same_order_on_all_commands():
    before = {}
    for command in COMMANDS:
        names = order_of(command)
        for index, name in enumerate(names):
            for later in names[index + 1 :]:
                assert (later, name) not in before, f"{command} and {before.get((later, name))}"
                before[name, later] = command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_asked_to_talk_and_shows_an_example(command, capsys):
    assert main([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert missing(TALK, re.findall(r"(?<!\w)--?[a-z][\w-]*", text)) == []
    assert re.search(rf"^    .*diffad {command}\b", text, re.M)


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


def test_run_in_a_pipe_says_a_line_for_each_scan_with_its_stages(predict):
    code, text = predict()
    lines = text.splitlines()
    assert code == 0
    assert lines[0] == f"2 done; see {predict.out / 'results.csv'}"
    for number, name in ((1, "s0"), (2, "s1")):
        pattern = rf"{number} of 2: {name}: [\d.]+ ml detected.* \(reading .* s, slices .* s, writing .* s\)"
        assert sum(re.fullmatch(pattern, line) is not None for line in lines) == 1
    assert sum("look first at" in line for line in lines) == 1


def test_quiet_run_says_warnings_and_failures_alone(predict, cohort):
    (cohort / "s1.nii.gz").write_bytes(b"no scan")
    code, text = predict("-q")
    assert code == 1
    assert all(re.match(r"warning: |failed s1", line) for line in text.splitlines())
    assert "failed s1" in text


def test_verbose_run_says_each_stage_and_the_log_does_in_any_case(predict, tmp_path):
    log = tmp_path / "logs" / "run.log"
    text = predict("-v", "--log", str(log))[1]
    for stage in ("reading", "slices", "writing"):
        assert f"s0: {stage} took " in text
        assert f"s0: {stage} took " in log.read_text()
    size = log.stat().st_size
    predict("-q", "--log", str(log))
    assert log.stat().st_size > size
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", line) for line in log.read_text().splitlines())


def test_json_is_one_object_a_line_with_stable_keys(predict, capsys):
    code, text = predict("--json")
    events = objects(text)
    assert code == 0
    assert all({"event", "time", "command"} <= set(event) for event in events)
    assert {event["command"] for event in events} == {"predict"}
    for name, keys in EVENTS.items():
        event = next(event for event in events if event["event"] == name)
        assert missing(keys, event) == []
    assert [event["scan"] for event in events if event["event"] == "scan"] == ["s0", "s1"]
    assert events[-1]["done"] == ["s0", "s1"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["train", "smok", "--json"], 1, "did you mean 'smoke'"),
        (["predict", "a.nii", "--json", "--modle", "x"], 2, "--model"),
        (["--json", "predict"], 2, "Missing argument"),
    ],
)
def test_errors_are_objects_too(capsys, words, code, message):
    assert main(words) == code
    out, err = capsys.readouterr()
    (event,) = objects(out)
    assert (event["event"], err) == ("error", "")
    assert message in event["message"]


@pytest.mark.parametrize(
    ("words", "event", "keys"),
    [
        (["list", "samplers"], "part", "kind name what options"),
        (["version"], "version", "diffad python torch"),
        (["noise", "gaussian", "--size", "16"], "noise", "name options seconds statistics"),
        (["models", "list"], "model", "name modality coverage bytes parameters licence calibrated_on folder"),
        (["models", "path", "ixi-t1-axial"], "path", "name path"),
        (["models", "check", "ixi-t1-axial"], "checksum", "name sha256"),
    ],
)
def test_what_was_asked_for_comes_as_objects_however_quiet(capsys, words, event, keys):
    assert main([*words, "--json", "-q"]) == 0
    events = [e for e in objects(capsys.readouterr().out) if e["event"] == event]
    assert missing(keys, events[0]) == []


def test_options_of_all_commands_may_stand_before_the_command(capsys):
    assert main(["-q", "--json", "version"]) == 0
    assert objects(capsys.readouterr().out)[0]["event"] == "version"


@pytest.mark.parametrize("words", [["-q", "-v"], ["--log", "/proc/no/log.txt"]])
def test_what_cannot_be_asked_is_wrong_usage(capsys, words):
    assert main(["version", *words]) == 2
    assert "error: " in capsys.readouterr().err


def test_slow_scan_is_heard_of_in_a_pipe(monkeypatch, capsys):
    monkeypatch.setattr("diffad.io.progress.SILENCE_SECONDS", 0.0)
    with Progress(1) as progress, progress.scan("s0"), progress.slices(180) as bar:
        bar.update(40)
        bar.update(140)
    assert capsys.readouterr().err == "s0: slices 40/180\n1 of 1: s0\n"
