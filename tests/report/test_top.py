"""What a page, a picture and an index say first, and what they say of what was not analysed."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from PIL import Image

from diffad.report.montage import save_report
from diffad.report.overview import Overview
from diffad.report.planes import Planes
from diffad.report.sheet import Sheet, SheetText
from diffad.report.thumbnail import read_tiles
from diffad.report.viewer import IndexRow, write_index
from diffad.report.viewer.detection_rates import render_detection_rates
from diffad.report.viewer.detections import explain_p, render_detections
from diffad.report.viewer.healthy_plot import render_healthy_plot
from diffad.report.viewer.page import describe_unit
from diffad.threshold.detection_rates import DetectionRate
from tests.report.test_montage import INFO, output
from tests.report.test_viewer import EVIL, result, unpack, write

HEADLINE = {
    "model": "toy",
    "scope": f"T1 of {EVIL}",
    "analysed": "2 of 16 axial slices, 9 % of the brain",
    "outside": "nothing",
    "flagged": "23 % of what was analysed (about 1 % of healthy scans is), which is not credible",
    "verdict": "not credible: far more is flagged than lesions could explain",
}


def partial(out):
    """The same result, of which half of the brain was not analysed."""
    analysed = out.brain.clone()
    analysed[..., analysed.shape[-1] // 2 :] = False
    return replace(out, analysed=analysed, info=out.info | {"headline": HEADLINE, "verdict": "not credible"})


def test_page_begins_with_model_coverage_and_result(tmp_path):
    text = write(tmp_path, partial(result(tmp_path)))
    places = [
        text.index(word)
        for word in ("toy", "2 of 16 axial slices", "Not credible:", "Please note", "<canvas")
    ]
    assert places == sorted(places)
    assert EVIL not in text


def test_page_without_headlines_is_still_made(tmp_path):
    assert "<canvas" in write(tmp_path, result(tmp_path))


def test_what_was_not_analysed_is_a_hatched_volume_of_the_page(tmp_path):
    out = partial(result(tmp_path))
    text = write(tmp_path, out)
    images, _ = unpack(text)
    hatch = np.asarray(images["unseen"].dataobj)
    assert set(np.unique(hatch.round(1))) == {0.0, 0.5, 1.0}
    assert (hatch > 0.1).sum() == int(out.unseen_mask.sum())
    assert 'id="unseen"' in text
    whole = write(tmp_path, result(tmp_path))
    assert 'id="unseen"' not in whole
    assert "unseen" not in unpack(whole)[0]


def test_page_names_detections_until_a_person_has_judged(tmp_path):
    text = write(tmp_path, result(tmp_path)).split("</style>")[1].split('id="data"')[0]
    assert "<h2>Detections</h2>" in text
    assert (
        "lesion"
        not in text.lower().replace("of what size of lesion", "").split("<h2>What this model finds")[0]
    )


def test_page_says_keys_units_and_how_to_measure(tmp_path):
    text = write(tmp_path, result(tmp_path))
    for words in ("Scroll over a plane", "Page Up", 'id="measure"', "without a unit", 'tabindex="0"'):
        assert words in text
    post = {"config": {"postprocess": {"normalise": "place"}}}
    assert describe_unit(post).startswith("standard deviations of healthy scans")
    assert (
        describe_unit(post | {"warnings": ["the map is not normalised by place, as ..."]}) == "without a unit"
    )
    assert describe_unit({"score": {"name": "l1"}}) == "score l1, without a unit"


def test_order_and_floor_of_p_are_said(tmp_path):
    lesions = [replace(d, p_value=p) for d, p in zip(result(tmp_path).lesions(), (1 / 59, 0.03), strict=True)]
    info = {"p_values": {"floor": 1 / 59, "scans": 58}}
    text = render_detections(lesions, info, np.eye(4))
    assert "Sorted by evidence: the highest peak" in text
    assert "&le; 0.017</td>" in text
    assert '<th class=place aria-sort="none" tabindex="0">place</th>' in text  # above cells of that class
    assert ">0.03</td>" in text
    assert "cannot go below 1/59 = 0.017" in explain_p(info)
    assert "There are no p-values" in explain_p({})


@pytest.mark.parametrize(("value", "p_value", "bound"), [(9.0, 1 / 21, True), (0.4, 0.6, False)])
def test_scan_is_drawn_among_healthy_scans(value, p_value, bound):
    healthy = np.linspace(0.1, 2, 20).tolist()
    scan = {
        "p_value": p_value,
        "floor": 1 / 21,
        "scans": 20,
        "healthy": healthy,
        "by": {"topk": {"value": value}},
    }
    text = render_healthy_plot({"healthy_scans": scan})
    assert "<svg" in text
    assert f"this scan {value:.3g}" in text
    assert ("cannot be lower" in text) == bound
    assert "compared with no healthy scans" in render_healthy_plot({})


def test_healthy_scans_that_are_all_alike_are_drawn():
    scan = {"p_value": 1.0, "floor": 0.5, "scans": 1, "healthy": [0.0], "by": {"topk": {"value": 0.0}}}
    assert "nan" not in render_healthy_plot({"healthy_scans": scan})


def test_sensitivity_is_a_table_or_a_sentence():
    rows = [asdict(DetectionRate("implanted", 5.0, None, 0.01, 40, 0.01, 0.0))]
    info = {"detection_rates": rows, "config": {"postprocess": {"fpr": 0.01}}}
    text = render_detection_rates(info)
    assert "above 5 ml" in text
    assert "silent at its threshold" in text
    assert "was not measured" in render_detection_rates({})
    assert "was not measured" in render_detection_rates({"detection_rates": [{"odd": 1}]})


def test_picture_shows_facts_hatching_and_legend(tmp_path):
    out = partial(output())
    planes = Planes.of(out)
    overview = Overview.of(out, 2, [5, 20])
    sheet = Sheet([planes.cut_row(20)], 0.25, overview=overview)
    figure = sheet.draw(SheetText("title", facts=[("Model", "toy"), ("Result", "none " * 60)]))
    words = [text.get_text() for text in figure.findobj(Text)]
    assert {"Model", "toy", "Result"} <= set(words)
    assert any("not analysed: 50 % of the brain" in word for word in words)
    assert [hatch for axes in figure.axes for area in axes.collections if (hatch := area.get_hatch())]
    assert [tile.lines for tile in overview.tiles] == [[24, 9]] * 2  # the top of the head is up
    assert all(tile.is_row for tile in overview.tiles)
    assert save_report(out, tmp_path / "a.png").exists()


def test_picture_of_a_whole_brain_has_no_hatching():
    overview = Overview.of(output(), 2, [5])
    figure = Sheet([Planes.of(output()).cut_row(20)], 0.25, overview=overview).draw(SheetText("title"))
    words = [text.get_text() for text in figure.findobj(Text)]
    assert "the whole brain was analysed" in words


def test_small_picture_of_an_index_is_the_worst_row_without_labels(tmp_path):
    picture = save_report(output([(8, 0.3), (20, 0.9)]), tmp_path / "a.png")
    tiles = read_tiles(picture)
    left, top, width, height = tiles.box
    with Image.open(picture) as image:
        assert image.size == tiles.size
        cut = np.asarray(image.convert("L"))[top : top + height, left : left + width]
    assert cut.std() > 10
    row = IndexRow("a", picture="a.png", tiles=tiles)
    text = write_index([row, IndexRow("b", picture="b.png")], tmp_path / "i.html", title="S").read_text()
    frame, image = tiles.style(190)
    assert f'<div class="thumb" style="{frame}"><img loading="lazy" alt="" style="{image}"' in text
    assert '<a href="b.png">picture</a>' in text
    (tmp_path / "b.png").write_bytes(b"none")
    assert read_tiles(tmp_path / "b.png") is None


def test_index_has_warnings_and_an_honest_status(tmp_path):
    rows = [
        IndexRow("a", verdict="nothing", model=f"m knows {EVIL}"),
        IndexRow("b", verdict="not credible", domain="outside", warnings=["too dark", EVIL]),
        IndexRow("c", "failed", error="no brain"),
    ]
    text = write_index(rows, tmp_path / "i.html", title="Study").read_text()
    assert "3 scans: 1 failed; 1 outside what the model knows; 1 with warnings" in text
    assert "1 with nothing above what healthy scans show" in text
    assert "outside what the model knows: not credible" in text
    assert "<li>too dark</li>" in text
    assert "<li>no brain</li>" in text
    assert "<img src=x" not in text


def test_titles_of_tensors_have_no_overview(tmp_path):
    info = INFO | {"headline": HEADLINE}
    out = output()
    tensor = replace(
        out, volume=None, info=info, image=torch.cat([out.image] * 2), brain=torch.cat([out.brain] * 2)
    )
    maps = {k: torch.cat([getattr(out, k)] * 2) for k in ("anomaly_map", "reconstruction", "mask", "score")}
    assert save_report(replace(tensor, **maps, analysed=tensor.brain), tmp_path / "t.png").exists()
