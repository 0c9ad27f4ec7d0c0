"""Wrong words are answered by the right ones, before anything is done."""

import json

import pytest

from diffad.cli import main


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["predikt"], "predict"),
        (["models", "lst"], "list"),
        (["list", "samplrs"], "samplers"),
        (["train", "smok"], "smoke"),
        (["train", "smoke", "sampler.name=chian"], "chain"),
        (["train", "smoke", "sampler.levl=3"], "level"),
        (["train", "smoke", "train.step=3"], "train.steps"),
        (["train", "ddpm", "variant=smoek"], "smoke"),
        (["benchmark", "benchmark_smok"], "benchmark_smoke"),
        (["data", "check", ".", "--layout", "brat2021"], "brats2021"),
        (["models", "path", "ixi-t1-axal"], "ixi-t1-axial"),
        (["predict", ".", "--brain", "deepbt"], "deepbet"),
    ],
)
def test_wrong_name_comes_with_the_one_most_like_it(capsys, words, name):
    assert main(words) in (1, 2)
    text = capsys.readouterr().err
    assert f"id you mean '{name}'?" in text
    assert "Value error" not in text
    assert "Invalid value: " not in text


def test_scan_that_is_not_there_leaves_no_folder(predict, cohort):
    code, text = predict(scans=[cohort / "s00.nii.gz"])
    assert (code, predict.out.exists()) == (1, False)
    assert text == (
        f"error: {cohort / 's00.nii.gz'}: expected a file or a folder, found nothing of that name; "
        "did you mean 's0.nii.gz'?\n"
    )


def test_words_of_a_bids_app_are_not_taken_for_scans(predict, cohort, tmp_path):
    code, text = predict(scans=[cohort, tmp_path / "derivatives", "participant"])
    assert (code, predict.out.exists()) == (2, False)
    assert f"write diffad bids-app {cohort} {tmp_path / 'derivatives'} participant" in text


def test_unknown_model_leaves_no_folder(predict):
    code, text = predict("--model", "ixi-t1-axal")
    assert (code, predict.out.exists()) == (1, False)
    assert "did you mean 'ixi-t1-axial'?" in text


@pytest.mark.parametrize("words", [[], ["models"], ["data"]])
def test_a_command_without_words_shows_its_help_as_it_is(words, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out.startswith(f"Usage: {' '.join(['diffad', *words])}")
    assert "\n\nCommands:\n" in out
    assert err == ""


@pytest.mark.parametrize(("words", "path"), [([], "diffad"), (["models"], "diffad models")])
def test_programs_are_told_that_a_command_is_missing(words, path, capsys):
    assert main([*words, "--json"]) == 2
    line = json.loads(capsys.readouterr().out)
    assert line["message"] == f"expected a command; {path} --help lists them"
    assert main(["-q", *words]) == 2
    assert capsys.readouterr().out.startswith(f"Usage: {path} ")
