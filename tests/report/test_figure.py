"""The figure for a paper: the right place, the right side, the right size, and words that stay words."""

import re
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
import torch

from diffad.data.volume import Volume
from diffad.inference.output import AnomalyOutput
from diffad.report.figure import STYLE, choose_place, save_figure
from diffad.report.panels import FigurePanels

SHAPE = (20, 24, 10)


def result(spacing=(2.0, 2.0, 4.0)):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = (-10, -20, 5)
    scan = np.zeros((1, *SHAPE), np.float32)
    scan[0, 2:18, 2:22, 1:9] = 1
    anomaly = torch.zeros(1, 1, *SHAPE)
    anomaly[0, 0, 15, 5, 7] = 0.9  # the peak: one voxel on the patient's right
    anomaly[0, 0, 4:7, 15:19, 3:5] = 0.5  # the largest
    volume = Volume(scan, affine)
    image = torch.from_numpy(scan)[None]
    info = {"threshold": 0.2, "threshold_rule": "fixed"}
    return AnomalyOutput(
        anomaly, image * 0.9, anomaly > 0.2, torch.tensor([0.9]), info, image, image > 0, volume
    )


def make_panels(out):
    return FigurePanels(out, out.volume, 174, choose_place(out))


def test_planes_go_through_the_peak_or_the_largest_lesion():
    out = result()
    assert choose_place(out) == [15, 5, 7]
    largest = max(out.lesions(), key=lambda lesion: lesion.volume_ml)
    assert largest.number == 2
    assert choose_place(out, out.lesions()) == list(largest.peak_voxel)


def test_patients_right_is_left_and_a_millimetre_is_one_everywhere():
    figure = make_panels(result()).draw()
    images = [ax for ax in figure.axes if ax.images]
    assert len(images) == 9
    widths = {round(float(np.ptp(ax.get_xlim())), 6) for ax in images}
    heights = {round(float(np.ptp(ax.get_ylim())), 6) for ax in images}
    assert widths == heights
    assert len(widths) == 1
    axial = images[2].images[1]  # the map on the scan
    row, column = np.argwhere(~np.ma.getmaskarray(axial.get_array()))[0]
    assert axial.get_array()[row, column] == pytest.approx(0.9)
    left, right, bottom, top = axial.get_extent()
    across = left + (column + 0.5) / axial.get_array().shape[1] * (right - left)
    down = top + (row + 0.5) / axial.get_array().shape[0] * (bottom - top)
    x0, x1 = images[2].get_xlim()
    low, high = images[2].get_ylim()
    assert across < (x0 + x1) / 2  # index 15 of 20 to the right is left of the middle
    assert down > (low + high) / 2  # index 5 of 24 to the front is below the middle
    assert [t.get_text() for t in images[0].texts][:2] == ["R", "L"]


def test_scale_bar_is_as_long_as_it_says():
    axes = make_panels(result()).draw().axes[0]
    (bar,) = axes.lines
    assert np.ptp(bar.get_xdata()) == 50
    assert any(t.get_text() == "50 mm" for t in axes.texts)


@pytest.mark.parametrize("width", [84, 174])
def test_titles_of_columns_do_not_overlap(width):
    out = result()
    with matplotlib.rc_context(STYLE):
        figure = FigurePanels(out, out.volume, width, choose_place(out)).draw()
        figure.canvas.draw()
    titles = [text for text in figure.texts if "scan" in text.get_text() or "healthy" in text.get_text()]
    boxes = [text.get_window_extent() for text in titles]
    assert len(boxes) == 3
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))
    assert all(figure.bbox.y1 > box.y1 and box.y0 > figure.axes[0].bbox.y1 for box in boxes)


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_same_result_is_the_same_file(tmp_path, kind):
    files = [save_figure(result(), tmp_path / f"{n}.{kind}").read_bytes() for n in "ab"]
    assert files[0] == files[1]


def test_words_stay_words_and_fonts_are_embedded(tmp_path):
    text = save_figure(result(), tmp_path / "a.svg").read_text(encoding="utf-8")
    words = re.findall(r"<text[^>]*>([^<]+)</text>", text)
    assert {"scan", "pseudo-healthy reconstruction", "50 mm", "axial, z = +33 mm"} <= set(words)
    raw = save_figure(result(), tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in raw
    assert b"CreationDate" not in raw
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", raw)
    assert float(box.group(1)) == pytest.approx(174 / 25.4 * 72, abs=0.01)


def test_empty_map_and_brain_are_drawn(tmp_path):
    out = result()
    out.anomaly_map[:], out.mask[:], out.brain[:] = 0, False, False
    assert save_figure(out, tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_one_clear_error(tmp_path):
    out = result()
    with pytest.raises(ValueError, match=r"a\.gif: expected a name ending in \.pdf, \.svg or \.png"):
        save_figure(out, tmp_path / "a.gif")
    out.volume = None
    with pytest.raises(ValueError, match="result of a volume for a figure"):
        save_figure(out, tmp_path / "a.pdf")
    assert list(tmp_path.iterdir()) == []
