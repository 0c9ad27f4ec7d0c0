"""The picture of the corruptions, ``python -m diffad.report.corruptions``."""

import numpy as np
import pytest
import torch
from PIL import Image

from diffad.data.corruptions import TASKS
from diffad.report.corruptions import ROWS, corrupt_by_every_task, draw_columns, run_corruptions_arguments


def slices(size, count):
    i, j = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    brain = (i.square() + j.square() < 0.6)[None]
    tissue = torch.stack([0.5 + 0.4 * torch.sin((6 + k) * i) * torch.cos(7 * j) for k in range(count)])
    return tissue[:, None] * brain, brain


@pytest.fixture
def data(tmp_path):
    images, brain = slices(40, 3)
    for part, chosen in (("train", images[:2]), ("val", images[2:])):
        (tmp_path / part).mkdir()
        for k, image in enumerate(chosen):
            Image.fromarray((255 * image[0]).byte().numpy()).save(tmp_path / part / f"{k}.png")
    Image.fromarray(255 * brain[0].byte().numpy()).save(tmp_path / "brain_mask.png")
    return tmp_path


def test_figure_has_a_column_for_each_task_and_shows_what_was_made():
    images, brain = slices(40, 2)
    corrupted = corrupt_by_every_task(images[0], brain, 1, [images[1]])
    drawing = draw_columns(corrupted)
    assert list(corrupted) == list(TASKS)
    assert len(drawing.axes) == len(ROWS) * (len(TASKS) + 1)
    assert [axis.get_title() for axis in drawing.axes[: len(TASKS) + 1]] == [
        "original",
        "blend",
        "cross blend",
        "sink",
        "source",
        "intensity",
    ]
    for k, task in enumerate(TASKS, 1):
        item = corrupted[task]
        pixels = drawing.axes[k].images[0].get_array()
        delta = drawing.axes[2 * (len(TASKS) + 1) + k].images[0].get_array()
        np.testing.assert_array_equal(pixels, item.image[0].numpy())
        np.testing.assert_array_equal(delta, (item.image - item.target)[0].numpy())


def test_only_slices_are_drawn():
    image = torch.rand(1, 12, 12, 12, generator=torch.Generator().manual_seed(0))
    volume = corrupt_by_every_task(image, torch.ones(1, 12, 12, 12, dtype=torch.bool), 0)
    for refused in (volume, {}):
        with pytest.raises(ValueError, match=r"slices \(C, H, W\) of one shape"):
            draw_columns(refused)


def test_command_writes_the_same_picture_twice(data, tmp_path, capsys):
    for name in ("a.png", "b.png"):
        run_corruptions_arguments([str(data), "--out", str(tmp_path / "new" / name), "--size", "40"])
    first, second = (Image.open(tmp_path / "new" / name).convert("RGB") for name in ("a.png", "b.png"))
    assert np.array_equal(np.asarray(first), np.asarray(second))
    assert np.asarray(first).std() > 10
    assert "a.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "text"), [(["--item", "7"], "a slice from 0 to 0"), (["--size", "40"], "brain_mask.png")]
)
def test_command_tells_what_is_wrong(data, options, text, capsys):
    if "--size" in options:
        (data / "brain_mask.png").unlink()
    with pytest.raises(SystemExit):
        run_corruptions_arguments([str(data), "--out", str(data / "x.png"), *options])
    assert text in capsys.readouterr().err
    assert not (data / "x.png").exists()


@pytest.mark.shared
def test_real_slice_changes_in_the_brain_under_every_task(shared_dir):
    from diffad.data.slice_folder import load_slices

    train, val, brain = load_slices(shared_dir / "data/ixi_t1_axial", 64)
    for item in corrupt_by_every_task(val[0], brain[0], 3, list(train[:5])).values():
        assert item.mask.any()
        assert not (item.mask & ~brain[0]).any()
        assert (item.image - item.target).abs()[item.mask].mean() > 0.005


def test_command_draws_the_tasks_that_are_asked_for(data, tmp_path, capsys):
    out = tmp_path / "lesions.png"
    run_corruptions_arguments([str(data), "--out", str(out), "--size", "40", "--tasks", "brain", "sink"])
    assert Image.open(out).width == pytest.approx(1.3 * 130 * 10, abs=2)
    with pytest.raises(SystemExit):
        run_corruptions_arguments([str(data), "--out", str(out), "--size", "40", "--tasks", "swirl"])
    assert "a task among blend" in capsys.readouterr().err
