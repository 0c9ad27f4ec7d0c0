"""The command ``diffad noise``: table, contact sheet, and what it refuses."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from diffad.cli import main
from diffad.registry import NOISES
from diffad.report import noise_sheet
from diffad.report.noise_figure import COLOURS, FigureLayout, draw_noise_figure
from diffad.report.noise_sheet import Draw, list_noises, measure_noise
from diffad.types import generator_for


@pytest.fixture(autouse=True)
def _few_fields(monkeypatch):
    monkeypatch.setenv("DIFFAD_DEBUG", "0")
    monkeypatch.setattr(noise_sheet, "FIELDS", 32)


@pytest.fixture(scope="module")
def samples():
    return [
        measure_noise(name, options, Draw(32))
        for name, options in (("coarse", {"resolution": 4}), ("gaussian", {}))
    ]


def test_field_is_what_the_generator_of_its_number_gives():
    draw, noise = Draw(16, 100, 7), NOISES.build("gaussian")
    z = draw(noise, 3, 2)
    assert torch.equal(z[0], noise(torch.zeros(1, 1, 16, 16), generator=generator_for(7, 3))[0])
    assert torch.equal(z[1:], draw(noise, 4, 1))


def test_level_reaches_the_noise():
    low, high = (Draw(16, t)(NOISES.build("mixed", a={"name": "coarse"}), 0, 1) for t in (0, 1000))
    assert not torch.allclose(low, high)


def test_table_holds_every_statistic(capsys):
    assert main(["noise", "coarse", "resolution=4", "--size", "32"]) == 0
    text = capsys.readouterr().out
    for word in (
        "coarse resolution=4",
        "mean",
        "std",
        "slice-mean",
        "1/e length",
        "min",
        "max",
        "seconds per",
    ):
        assert word in text
    assert "32 x 32 pixels · level 100 · seed 0" in text


def test_table_says_where_correlation_does_not_end(capsys):
    assert main(["noise", "coarse", "resolution=1", "--size", "32"]) == 0
    assert "> 16" in capsys.readouterr().out


def test_sheet_is_a_small_picture_that_shows_the_noise(tmp_path, capsys):
    path = tmp_path / "new" / "noise.png"
    assert main(["noise", "gaussian", "--save", str(path), "--size", "32", "--count", "5"]) == 0
    assert f"see {path}" in capsys.readouterr().out
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape == tuple(round(100 * inches) for inches in FigureLayout(2).size[::-1])
    tile = pixels[80:270, 220:400]
    assert tile.std() > 20
    assert [p.name for p in path.parent.iterdir()] == ["noise.png"]


def test_same_seed_gives_the_same_picture(tmp_path):
    contents = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        path = tmp_path / f"{name}.png"
        main(["noise", "coarse", "--save", str(path), "--size", "16", "--seed", seed])
        contents.append(path.read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_figure_has_a_tile_for_every_field_and_two_labelled_plots(samples):
    axes = draw_noise_figure(samples, "footer", count=6).axes
    tiles = [a for a in axes if a.images]
    plots = [a for a in axes if a.lines]
    assert len(tiles) == 12
    assert [a.get_title(loc="left") for a in plots] == ["Radial power spectrum", "Autocorrelation"]
    assert all(a.get_xlabel() and a.get_ylabel() for a in plots)
    assert plots[0].get_xscale() == plots[0].get_yscale() == "log"
    for plot in plots:
        assert [line.get_color() for line in plot.lines[:2]] == list(COLOURS[:2])


def test_nothing_in_the_figure_overlaps(samples):
    sheet = draw_noise_figure(samples, "footer", count=4)
    sheet.draw_without_rendering()
    renderer = sheet.canvas.get_renderer()
    boxes = [a.get_tightbbox(renderer) for a in sheet.axes]
    boxes += [text.get_window_extent(renderer) for text in sheet.texts]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert sheet.bbox.contains(box.x0, box.y0)
        assert sheet.bbox.contains(box.x1, box.y1)


def test_all_lists_every_registered_noise(tmp_path, capsys):
    assert {name for name, _ in list_noises()} == set(NOISES)
    path = tmp_path / "all.png"
    assert main(["noise", "--all", "--save", str(path), "--size", "16", "--count", "1"]) == 0
    text = capsys.readouterr().out
    assert all(f"│ {name} " in text for name in NOISES)
    assert path.is_file()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["pyramd"], 1, "unknown noise 'pyramd'; did you mean 'pyramid'?"),
        (["pyramid", "discont=1"], 1, "did you mean 'discount'?"),
        (["pyramid", "discount=0"], 1, "expected discount in (0, 1], got 0"),
        (["pyramid", "discount"], 1, "expected key=value, got 'discount'"),
        (["pyramid", "name=coarse"], 2, "got a second name"),
        (["mixed", "--level", "2000"], 1, "expected levels `t` in 0..1000"),
        ([], 2, "got neither"),
        (["pyramid", "--all"], 2, "got both"),
        (["pyramid", "--size", "8"], 2, "--size"),
        (["pyramid", "--count", "0"], 2, "--count"),
        (["pyramid", "--save", "noise.jpg"], 2, "--save: expected a name that ends in .png"),
    ],
    ids=str,
)
def test_refuses_what_it_cannot_draw_and_says_why(words, code, message, capsys):
    assert main(["noise", *words]) == code
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_refusal_leaves_a_picture_alone(tmp_path):
    path = tmp_path / "noise.png"
    path.write_text("mine")
    assert main(["noise", "simplx", "--save", str(path)]) == 1
    assert path.read_text() == "mine"


def test_help_brings_in_nothing_heavy():
    code = (
        "import sys; from diffad.cli import main; assert main(['noise', '--help']) == 0;"
        "print('heavy:', *[m for m in ('torch', 'matplotlib', 'numpy', 'scipy') if m in sys.modules])"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert "diffad noise simplex --save simplex.png" in process.stdout
    assert process.stdout.strip().splitlines()[-1] == "heavy:"
