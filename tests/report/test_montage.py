"""Pictures: what they show, which way round, and that the files are whole."""

import warnings
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.text import Text
from PIL import Image

from diffad.data.volume import Volume
from diffad.inference.output import AnomalyOutput
from diffad.report.montage import describe_origin, describe_result, save_montage, save_report
from diffad.report.planes import Planes, orient_plane
from diffad.report.sheet import LEFT, TILE, TOP, WARNING, Sheet, SheetText
from tests.helpers.disk import fill_disk

SHAPE = (20, 24, 30)
INFO = {
    "threshold": 0.25,
    "threshold_rule": "healthy pixel FPR 0.01",
    "nfe": 4,
    "slices": 30,
    "seed": 7,
    "sampler": {"name": "oneshot", "levels": [100, 200], "repeats": 2},
    "model": {"name": "toy"},
    "versions": {"diffad": "0.1.0"},
    "config": {"space": {"axis": "axial", "intensity": "percentile"}},
}


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def ellipsoid():
    axes = torch.meshgrid(*(torch.linspace(-1.1, 1.1, n) for n in SHAPE), indexing="ij")
    return (sum(a.square() for a in axes) < 1)[None, None]


def output(spots=((8, 0.5), (20, 0.9)), spacing=(1.0, 1.0, 1.0), axis="axial"):
    """A brain with bright spots in the map: (position along z, height)."""
    brain = ellipsoid()
    image = torch.rand(1, 1, *SHAPE, generator=torch.Generator().manual_seed(0)) * 100 * brain
    anomaly = torch.zeros(1, 1, *SHAPE)
    for k, height in spots:
        anomaly[..., 8:12, 10:14, k] = height
    volume = Volume(image[0].numpy(), np.diag([*spacing, 1.0]))
    info = INFO | {"config": {"space": {"axis": axis, "intensity": "percentile"}}}
    score = anomaly.amax((1, 2, 3, 4))
    return AnomalyOutput(anomaly, image * 0.9, anomaly > 0.25, score, info, image, brain, volume)


def batch(items=8, shape=(16, 20)):
    brain = torch.ones(items, 1, *shape, dtype=torch.bool)
    image = torch.rand(items, 1, *shape, generator=torch.Generator().manual_seed(0))
    anomaly = image * torch.linspace(0.1, 1, items).reshape(-1, *[1] * (len(shape) + 1))
    return AnomalyOutput(anomaly, image, anomaly > 0.25, anomaly.flatten(1).amax(1), INFO, image, brain)


def texts(out, lesion=None):
    planes = Planes.of(out, lesion)
    rows = [planes.cut_row(k) for k in planes.choose(5, 0.25)]
    figure = Sheet(rows, 0.25, planes.spacing, planes.sides).draw(SheetText("title", "subtitle", "footer"))
    return [t.get_text() for t in figure.findobj(Text) if t.get_text()]


def test_the_same_result_gives_the_same_file(tmp_path):
    first, second = (save_report(output(), tmp_path / f"{name}.png") for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    with Image.open(first) as image:
        assert image.format == "PNG"
        assert np.asarray(image)[..., :3].std() > 10


def test_anomalous_slices_are_shown_and_neighbours_are_not():
    spots = [(k, 0.9) for k in (14, 15, 16)] + [(5, 0.5), (24, 0.4)]
    indices = Planes.of(output(spots)).choose(3, threshold=0.25)
    assert indices[0] == 5
    assert indices[2] == 24
    assert indices[1] in (14, 15, 16)


def test_few_anomalous_slices_are_all_shown_even_if_they_touch():
    assert Planes.of(output([(k, 0.9) for k in (14, 15, 16)])).choose(5, 0.25) == [14, 15, 16]


def test_map_below_the_threshold_is_ranked_by_its_peak():
    assert Planes.of(output([(9, 0.1), (20, 0.2)])).choose(1, threshold=0.25) == [20]


@pytest.mark.parametrize(
    ("axis", "voxel", "index"),
    [("axial", (-1, -1, 3), 3), ("coronal", (-1, 5, -1), 5), ("sagittal", (4, -1, -1), 4)],
)
def test_right_front_and_top_of_the_patient_are_upper_left(axis, voxel, index):
    data = torch.zeros(1, *SHAPE)
    data[(0, *voxel)] = 1
    assert orient_plane(data, axis, index)[0, 0] == 1


def test_sides_are_named_as_they_are_hung():
    assert Planes.of(output(axis="axial")).sides == ("R", "L")
    assert Planes.of(output(axis="sagittal")).sides == ("A", "P")
    assert {"R", "L"} <= set(texts(output()))


@pytest.mark.parametrize(("axis", "spacing"), [("axial", (0.9, 0.9, 5.5)), ("sagittal", (0.9, 0.9, 5.5))])
def test_tiles_have_the_shape_of_the_body(axis, spacing):
    planes = Planes.of(output(spacing=spacing, axis=axis))
    rows = [planes.cut_row(k) for k in planes.choose(5, 0.25)]
    sheet = Sheet(rows, 0.25, planes.spacing, planes.sides)
    figure = sheet.draw(SheetText("title"))
    tile = figure.axes[0].get_position()
    across, down = figure.get_size_inches()
    ys, xs = sheet.crop
    row_mm, column_mm = (spacing[1], spacing[0]) if axis == "axial" else (spacing[2], spacing[1])
    body = (ys.stop - ys.start) * row_mm / ((xs.stop - xs.start) * column_mm)
    assert tile.height * down / (tile.width * across) == pytest.approx(body)
    assert tile.width * across == pytest.approx(TILE)
    assert tile.x0 * across == pytest.approx(LEFT)
    assert (1 - tile.y1) * down == pytest.approx(TOP)


@pytest.mark.parametrize(
    ("axis", "spacing"),
    [("axial", (1e-3, 4, 4)), ("axial", (4, 1e-3, 4)), ("coronal", (1e4, 1, 1)), ("sagittal", (4, 4, 1e-3))],
)
def test_picture_of_voxels_of_a_wrong_size_stays_a_picture(tmp_path, axis, spacing):
    save_report(output(spacing=spacing, axis=axis), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert max(picture.size) < 20_000
        assert picture.size[0] * picture.size[1] < 4e7


def test_crop_keeps_all_of_the_brain():
    planes = Planes.of(output())
    rows = [planes.cut_row(k) for k in (8, 15, 20)]
    ys, xs = Sheet(rows, 0.25).crop
    for row in rows:
        assert row.brain[ys, xs].sum() == row.brain.sum()


def test_ground_truth_gets_a_column_only_where_known():
    lesion = np.zeros(SHAPE, bool)
    lesion[8:12, 10:14, 20] = True
    assert "Ground truth" not in texts(output())
    words = texts(output(), lesion)
    assert "Ground truth" in words
    assert words.count("no lesion") == 1  # of the two slices shown one has the lesion


def test_threshold_is_marked_and_within_the_colour_bar():
    out = output([(20, 0.01)])  # a map far below the threshold
    planes = Planes.of(out)
    sheet = Sheet([planes.cut_row(20)], 0.25)
    assert sheet.heat.vmax > 0.25
    assert "threshold 0.25" in texts(out)


def test_words_tell_score_threshold_rule_volume_and_origin():
    out = output(spacing=(1.0, 1.0, 5.0))
    text = describe_result(out)
    assert "0.25 (healthy pixel FPR 0.01)" in text
    assert "Image score 0.9" in text
    assert "0.2 ml detected (32 voxels)" in text
    origin = describe_origin(INFO)
    assert "Model toy" in origin
    assert "oneshot(levels=100/200, repeats=2)" in origin
    assert "seed 7" in origin


def test_ct_is_shown_in_the_window_of_the_model(tmp_path, monkeypatch):
    scales = []
    monkeypatch.setattr(
        Sheet, "draw", lambda self, text: scales.append(self.grey) or matplotlib.figure.Figure()
    )
    out = output()
    out.info["config"] = {"space": {"axis": "axial", "intensity": "ct", "centre": 40.0, "width": 80.0}}
    save_report(out, tmp_path / "ct.png")
    assert (scales[0].vmin, scales[0].vmax) == (0, 80)


@pytest.mark.parametrize("spots", [(), ((20, 0.1),)])
def test_nothing_found_still_makes_a_picture(tmp_path, spots):
    assert save_report(output(spots), tmp_path / "r.png", np.zeros(SHAPE, bool)).stat().st_size > 1000


@pytest.mark.parametrize(("shape", "rows"), [((16, 20), 6), ((10, 12, 8), 6)])
def test_batches_show_their_first_items(tmp_path, shape, rows):
    out = batch(8, shape)
    planes = Planes.of(out)
    assert len(planes.choose(6, 0.25)) == rows
    assert planes.cut_row(3).scan.ndim == 2
    save_report(out, tmp_path / "batch.png", torch.zeros(8, *shape))
    assert (tmp_path / "batch.png").exists()


def test_lesion_of_another_shape_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected a lesion \(1, 1, 20, 24, 30\)"):
        save_report(output(), tmp_path / "r.png", np.zeros((20, 24, 29)))
    assert not list(tmp_path.iterdir())


def test_rows_of_one_shape_are_asked_for(tmp_path):
    small, large = Planes.of(batch(1, (16, 20))).cut_row(0), Planes.of(batch(1, (16, 22))).cut_row(0)
    for rows in ([], [small, large]):
        with pytest.raises(ValueError, match="expected rows of one shape"):
            save_montage(rows, tmp_path / "m.png", INFO, "title")


def test_dollars_in_a_name_are_no_formula(tmp_path):
    row = Planes.of(batch(1)).cut_row(0, label="a$b_{$", note="$x")
    assert save_montage([row], tmp_path / "m.png", INFO, "cost $5 \\frac $").exists()


def test_failed_write_leaves_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "r.png"
    path.write_bytes(b"old")

    fill_disk(monkeypatch)
    with pytest.raises(OSError, match="No space"):
        save_report(output(), path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["r.png"]


def test_global_state_of_matplotlib_stays(tmp_path):
    from matplotlib._pylab_helpers import Gcf

    before = dict(matplotlib.rcParams)
    save_report(output(), tmp_path / "r.png")
    assert dict(matplotlib.rcParams) == before
    assert not Gcf.get_all_fig_managers()


def test_warnings_stand_above_the_rows_in_their_own_colour():
    out = output()
    plain, loud = (replace(out, info=out.info | {"warnings": w}) for w in ([], ["55% is flagged. " * 30]))
    figures = []
    for item in (plain, loud):
        planes = Planes.of(item)
        text = SheetText("title", "subtitle", "footer", item.info["warnings"])
        figures.append(Sheet([planes.cut_row(8)], 0.25).draw(text))
    words = [[(t.get_text(), t.get_color()) for t in figure.findobj(Text)] for figure in figures]
    assert figures[1].get_figheight() > figures[0].get_figheight()
    assert not any(colour == WARNING for _, colour in words[0])
    assert any("55% is flagged" in text and colour == WARNING for text, colour in words[1])


def test_report_draws_what_is_stored(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        Sheet, "draw", lambda self, text: drawn.append(text.warnings) or matplotlib.figure.Figure()
    )
    out = output()
    save_report(replace(out, info=out.info | {"warnings": ["far too much"]}), tmp_path / "r.png")
    assert list(drawn[0]) == ["far too much"]


def test_names_that_are_no_text_are_shown_by_number():
    from matplotlib.figure import Figure

    from diffad.report.canvas import place_text

    figure = Figure()
    place_text(figure, 1, 1, "bad\udcff\x1b[31m\nline $x^$", 9, "white")
    assert figure.texts[0].get_text() == "bad\\xff\\x1b[31m\nline $x^$"
    figure.canvas.draw()
