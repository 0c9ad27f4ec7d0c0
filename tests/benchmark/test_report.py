"""The outcome of a benchmark as tables, pictures and one page."""

import io
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from diffad.report.benchmark import tables, write_report
from diffad.report.benchmark.outcome import Cost, MetricRow, Outcome
from diffad.report.benchmark.pictures import draw_pictures


def make_outcome(methods=("a", "b", "c"), seeds=(0, 1)):
    """Three methods on two kinds and eight subjects; the first is the best."""
    rows, subjects = [], {}
    for i, m in enumerate(methods):
        for seed in seeds:
            for data, shift in (("dark", 0.1), ("bright", -0.1), ("mean", 0.0)):
                value = 0.8 - 0.2 * i + shift + 0.02 * seed
                ends = (value - 0.1, value + 0.1) if data != "mean" else (math.nan, math.nan)
                rows.append(MetricRow(m, "diffad", data, seed, "pixel_ap", value, *ends))
        subjects[m] = {f"s{k}": 0.8 - 0.2 * i + 0.01 * ((k * (i + 1)) % 7) for k in range(8)}
    x = np.linspace(1, 0.01, 20)
    curves = {m: {"roc": (x[::-1], x[::-1]), "pr": (x[::-1], x), "dice": (x, x * (1 - x))} for m in methods}
    costs = [Cost(m, i, 0.1 * (i + 1), 1000) for i, m in enumerate(methods)]
    return Outcome("trial", list(methods), rows, costs, {"diffad": subjects}, curves=curves)


def cells(text, method):
    row = next(line for line in text.splitlines() if line.startswith(f"| {method} "))
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_table_holds_means_intervals_and_spreads():
    text = tables.format_markdown(make_outcome())
    assert cells(text, "a")[:5] == ["a", "0.810 ± 0.014", "0.910 [0.800, 1.000]", "0.710 [0.600, 0.800]", "2"]
    assert cells(text, "a")[5] == "-"
    # eight subjects, all better: 2 of 256 flips, times 2 methods
    assert cells(text, "b")[5] == cells(text, "c")[5] == f"{4 / 256:.3f}"
    order = [
        line.split("|")[1].strip() for line in text.splitlines() if line.startswith(("| a", "| b", "| c"))
    ]
    assert order[:3] == ["a", "b", "c"]


def test_one_seed_has_no_spread_and_nan_is_a_dash():
    outcome = make_outcome(seeds=(0,))
    rows = [
        replace(row, value=math.nan) if (row.method, row.data) == ("b", "dark") else row
        for row in outcome.rows
    ]
    text = tables.format_markdown(replace(outcome, rows=rows))
    assert cells(text, "a")[1] == "0.800"
    assert cells(text, "b")[2] == "-"


def test_names_break_neither_table_nor_page(tmp_path):
    text = write_report(make_outcome(("<script>x</script>", "a|b", "ü")), tmp_path).read_text("utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "| a\\|b |" in (tmp_path / "table.md").read_text("utf-8")


def test_page_needs_nothing_from_elsewhere(tmp_path):
    text = write_report(make_outcome(), tmp_path).read_text("utf-8")
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "http" not in text
    assert text.count("data:image/png;base64,") == 5
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "cost.png", "dice.png", "index.html", "pr.png", "ranking.png", "roc.png", "table.md",
    ]  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 3, 16])
def test_pictures_open_whatever_the_number_of_methods(count):
    pictures = draw_pictures(make_outcome(tuple(f"method {i}" for i in range(count))))
    assert set(pictures) == {"ranking", "cost", "roc", "pr", "dice"}
    for content in pictures.values():
        with Image.open(io.BytesIO(content)) as picture:
            assert min(picture.size) > 100


def test_what_is_missing_is_said_and_breaks_nothing(tmp_path):
    outcome = make_outcome()
    gaps = {"curves": {}, "costs": [], "subjects": {}, "failures": {"d": "no pipeline"}, "warnings": ["odd"]}
    text = write_report(replace(outcome, **gaps), tmp_path).read_text("utf-8")
    assert "d has no results: no pipeline" in text
    assert "odd" in text
    assert "The costs are not known" in text
    assert "There are no pictures of scans" in text
    assert text.count("There is nothing to draw") == 4
    empty = write_report(Outcome("none", [], [], [], {}), tmp_path / "empty").read_text("utf-8")
    assert "There are no results" in empty


def test_methods_without_the_same_subjects_are_not_tested():
    outcome = make_outcome()
    table = {**outcome.subjects["diffad"], "c": {"other": 1.0}}
    assert set(tables.correct_p_values(replace(outcome, subjects={"diffad": table}))) == {"b"}
