"""A contact sheet of what a network is trained on."""

import pytest
import torch
from PIL import Image

from diffad.cli import main
from diffad.report.training_sheet import tile_pictures
from tests.helpers.label_maps import save_labels


def test_tiles_are_about_as_wide_as_high_and_pairs_stay_together():
    top, bottom = torch.full((7, 10, 20), 0.2), torch.full((7, 10, 20), 0.9)
    sheet = tile_pictures([top, bottom])
    assert sheet.shape == (3 * 24, 3 * 22)
    assert sheet[5, 5] == torch.tensor(0.2)
    assert sheet[17, 5] == torch.tensor(0.9)


@pytest.mark.parametrize("more", [[], ["corrupt={tasks: [intensity], role: restore, chance: 1}"]])
def test_command_draws_a_training_on_synthetic_scans(tmp_path, capsys, more):
    for k in range(5):
        save_labels(tmp_path / "maps" / f"{k}.nii.gz", seed=k)
    data = f"data={{name: labels, root: {tmp_path / 'maps'}, slices: [25, 35]}}"
    out = tmp_path / "sheet.png"
    words = ["smoke", data, "space={size: 32, fov: 200}", "--out", str(out), "--count", "6", *more]
    assert main(["data", "sheet", *words]) == 0
    assert capsys.readouterr().out.startswith("drew 6 items of ")
    image = Image.open(out)
    assert len(image.getcolors(100_000)) > 50
    assert image.size == ((102, 136) if more else (68, 102))


def test_picture_must_be_a_png(tmp_path, capsys):
    assert main(["data", "sheet", "smoke", "--out", str(tmp_path / "a.jpg")]) == 2
    assert "ends in .png" in capsys.readouterr().err
