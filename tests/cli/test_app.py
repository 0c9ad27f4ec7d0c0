"""The command line: help that teaches, errors in one line, exit codes that scripts can rely on."""

import os

import pytest
import torch
import typer

from diffad import registry
from diffad.cli import main
from diffad.cli.list import KINDS
from diffad.cli.options import parse_part, parse_slices, parse_threshold, report_wrong_usage
from diffad.method import Method
from diffad.predict import Options
from diffad.registry import Registry


@pytest.fixture(autouse=True)
def _no_debugging(monkeypatch):
    monkeypatch.setenv("DIFFAD_DEBUG", "0")


@pytest.mark.parametrize("command", ["train", "predict", "evaluate", "list"])
def test_help_shows_examples_line_by_line(capsys, command):
    assert main([command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith(f"    diffad {command}") for line in lines) >= 2


def test_no_words_show_the_help(capsys):
    main([])
    told = capsys.readouterr()
    assert all(name in told.out + told.err for name in ("train", "predict", "evaluate", "demo", "list"))


def test_version_is_shown(capsys):
    import diffad

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"diffad {diffad.__version__}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predikt"], "predict"),
        (["predict"], "Missing argument"),
        (["predict", "a.nii", "--modle", "x"], "--model"),
        (["list", "noise"], "'noises'"),
        (["evaluate", "maps"], "--masks"),
        (["evaluate", "maps", "--masks", "m", "--out", "x.txt"], "ends in .json or .csv"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what_is_known(capsys, words, message):
    assert main(words) == 2
    assert message in capsys.readouterr().err


def raising(error):
    def run(*_, **__):
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (ValueError("expected a,\n  got b"), 1, "error: expected a, got b\n"),
        (FileNotFoundError(2, "No such file", "x.nii"), 1, "error: x.nii: No such file\n"),
        (ImportError("pip install 'diffad[demo]'"), 1, "error: pip install 'diffad[demo]'\n"),
        (
            ZeroDivisionError("oops"),
            1,
            "error: ZeroDivisionError: oops (--debug shows where it comes from)\n",
        ),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_every_error_of_a_command_is_one_line_and_an_exit_code(capsys, monkeypatch, error, code, told):
    monkeypatch.setattr("diffad.demo.run.run_demo", raising(error))
    assert main(["demo"]) == code
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("words", [["--debug", "demo"], ["demo", "--debug"]])
def test_debug_shows_where_an_error_came_from(monkeypatch, words):
    monkeypatch.setattr("diffad.demo.run.run_demo", raising(ValueError("inside")))
    with pytest.raises(ValueError, match="inside"):
        main(words)
    assert os.environ["DIFFAD_DEBUG"] == "1"


@pytest.mark.parametrize("code", [0, 1, 130])
def test_train_hands_its_words_and_exit_code_on(monkeypatch, code):
    words = []
    monkeypatch.setattr(
        "diffad.training.run.run_training_arguments", lambda given: words.extend(given) or code
    )
    assert main(["train", "smoke", "train.steps=3", "noise={name: gaussian}"]) == code
    assert words == ["smoke", "train.steps=3", "noise={name: gaussian}"]


def test_train_of_an_unknown_config_names_the_shipped_ones(capsys):
    assert main(["train", "smok"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: smok: no such file; shipped configs: ")
    assert "smoke" in told


def test_demo_passes_on_folder_model_and_seed(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr("diffad.demo.run.run_demo", lambda *told: calls.append(told))
    assert main(["demo", "--out", str(tmp_path), "--model", "mine", "--seed", "3"]) == 0
    assert calls == [(tmp_path, "mine", 3)]


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("noises", ["simplex", "octaves=6", "gaussian", "coarse"]),
        ("samplers", ["chain", "level=250", "oneshot"]),
        ("scores", ["l1", "ssim", "window=7"]),
        ("models", ["unet2d", "in_channels=1"]),
        ("datasets", ["images", "root"]),
        ("configs", ["smoke", "Seconds on a CPU"]),
        ("corruptions", ["cells", "ratio=0.4", "coarse", "sigma=0.134", "disyre"]),
        ("guidances", ["guidances"]),
        ("saliencies", ["saliencies"]),
        ("pretrained", ["pretrained"]),
    ],
)
def test_list_shows_names_options_and_what_they_are(capsys, kind, known):
    assert main(["list", kind]) == 0
    told = capsys.readouterr().out
    assert [word for word in known if word not in told] == []


def test_list_without_a_kind_shows_all_of_them(capsys):
    assert main(["list"]) == 0
    told = capsys.readouterr().out
    assert [kind for kind in KINDS if kind not in told] == []


OWN = Method(
    noise={"name": "mixed", "low": {"name": "coarse", "size": 8}},
    sampler={"name": "oneshot", "levels": [20]},
    score={"name": "l1"},
)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], None),
        (["{levels: [30, 40]}"], {"name": "oneshot", "levels": [30, 40]}),
        (["levels=[1]", "levels=[2]"], {"name": "oneshot", "levels": [2]}),
        (["chain"], {"name": "chain"}),
        (["{name: chain, level: 200, steps: 10}"], {"name": "chain", "level": 200, "steps": 10}),
        (["levels=[30, 40]"], {"name": "oneshot", "levels": [30, 40]}),
        (["name=chain", "level=200"], {"name": "chain", "level": 200}),
        (["chain", "step=ddim"], {"name": "chain", "step": "ddim"}),
    ],
)
def test_sampler_is_a_name_yaml_or_changes_to_the_models_own(texts, expected):
    assert Options(sampler=parse_part("sampler", texts)).method.over(OWN).sampler == (expected or OWN.sampler)
    assert OWN.sampler == {"name": "oneshot", "levels": [20]}


def test_dotted_keys_change_an_inner_part_and_leave_its_other_options():
    part = Options(noise=parse_part("noise", ["low.size=4"])).method.over(OWN).noise
    assert part == {"name": "mixed", "low": {"name": "coarse", "size": 4}}
    part = Options(noise=parse_part("noise", ["low.name=gaussian"])).method.over(OWN).noise
    assert part == {"name": "mixed", "low": {"name": "gaussian"}}


def test_options_of_a_part_that_the_model_lacks_are_refused():
    with pytest.raises(ValueError, match="guidance: expected a part with a name, as the model has none"):
        Options(guidance=parse_part("guidance", ["scale=30"])).method.over(OWN)


@pytest.mark.parametrize(("text", "expected"), [("", None), ("85:106", (85, 106)), ("0:1", (0, 1))])
def test_slices_are_first_and_last(text, expected):
    assert parse_slices(text) == expected


@pytest.mark.parametrize("text", ["5", "5:5", "6:5", "a:b", ":5", "5:", "-1:5", "1:2:3"])
def test_slices_that_are_no_range_are_refused(text):
    with pytest.raises(typer.BadParameter, match="--slices: expected FIRST:LAST"), report_wrong_usage():
        Options(slices=parse_slices(text))


@pytest.mark.parametrize(("text", "expected"), [("", None), ("otsu", "otsu"), ("0.2", 0.2), ("1e-2", 0.01)])
def test_threshold_is_a_number_or_otsu(text, expected):
    assert parse_threshold(text) == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_device_that_is_not_there_is_wrong_usage(capsys, tmp_path):
    assert main(["predict", str(tmp_path), "--device", "cuda"]) == 2
    assert "--device: expected auto, cpu or a GPU" in capsys.readouterr().err


def test_every_registry_can_be_listed():
    registries = {r.plural for r in vars(registry).values() if isinstance(r, Registry)}
    assert {*KINDS} == registries - {"views"} | {"configs", "pretrained"}
