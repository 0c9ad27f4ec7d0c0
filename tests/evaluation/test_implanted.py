import json
import math
import shutil
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from PIL import Image

from diffad.data.lesions import KINDS, implant_all
from diffad.evaluation.implanted import compare, format_rows, run_implanted_arguments
from tests.evaluation.conftest import scans


def test_perfect_map_scores_one_and_constant_map_scores_the_prevalence():
    slices, brain = scans()
    truths = iter([masks.float() for _, masks in implant_all(slices, brain, 3).values()])
    rows = compare({"oracle": lambda x: next(truths), "constant": torch.zeros_like}, slices, brain, 3)
    assert [(r.method, r.kind) for r in rows] == [
        (method, kind) for method in ("oracle", "constant") for kind in (*KINDS, "mean")
    ]
    inside = brain.expand_as(slices)
    for row in rows[:5]:
        assert row.ap == row.auroc == row.dice == 1
    for row, (_, masks) in zip(rows[5:9], implant_all(slices, brain, 3).values(), strict=True):
        prevalence = masks[inside].float().mean().item()
        assert row.ap == pytest.approx(prevalence, rel=1e-4)
        assert row.auroc == pytest.approx(0.5)
        assert row.dice == pytest.approx(2 * prevalence / (1 + prevalence), rel=1e-4)


def test_pixels_outside_the_brain_do_not_count():
    slices, brain = scans()
    inner = {"map": lambda x: x}
    outer = {"map": lambda x: torch.where(brain, x, 100.0)}
    assert compare(inner, slices, brain, 0) == compare(outer, slices, brain, 0)


def test_mean_row_is_the_mean_of_the_kinds():
    slices, brain = scans()
    *kinds, mean = compare({"intensity": lambda x: x}, slices, brain, 0)
    for name in ("ap", "auroc", "dice"):
        assert getattr(mean, name) == pytest.approx(sum(getattr(r, name) for r in kinds) / 4)


def test_map_of_another_shape_is_refused_by_name():
    slices, brain = scans()
    with pytest.raises(ValueError, match=r"\(4, 1, 40, 40\) from 'bad', got \(4, 2, 40, 40\)"):
        compare({"bad": lambda x: x.repeat(1, 2, 1, 1)}, slices, brain, 0)


def test_table_has_three_lines_for_each_method_and_a_column_for_each_kind():
    slices, brain = scans()
    rows = compare({"a": lambda x: x, "b": torch.zeros_like}, slices, brain, 0)
    columns = format_rows(rows).columns
    assert [column.header for column in columns] == ["method", "metric", *KINDS, "mean"]
    assert list(columns[0].cells) == ["a", "", "", "b", "", ""]
    assert list(columns[2].cells)[:3] == [f"{v:.3f}" for v in (rows[0].ap, rows[0].auroc, rows[0].dice)]


def test_command_compares_the_baselines_and_writes_json(folder, tmp_path, capsys):
    out = tmp_path / "result.json"
    run_implanted_arguments(
        ["--data", str(folder), "--model", "none", "--size", "32", "--seed", "5", "--out", str(out)]
    )
    result = json.loads(out.read_text())
    assert result["made_by"] == {"data": str(folder), "model": "none", "seed": 5, "size": 32}
    assert {row["method"] for row in result["rows"]} == {"z-score", "PCA residual", "raw intensity"}
    assert len(result["rows"]) == 3 * 5
    assert all(0 <= row[name] <= 1 for row in result["rows"] for name in ("ap", "auroc", "dice"))
    assert "PCA" in capsys.readouterr().out


def test_command_runs_the_model_inside_the_brain_in_small_batches(folder, tmp_path, monkeypatch):
    shapes = []

    class Pipeline:
        @classmethod
        def from_pretrained(cls, name):
            assert name == "mine"
            return cls()

        def __call__(self, x, mask):
            assert mask.dtype == torch.bool
            assert (x[~mask] == 0).all()
            shapes.append(tuple(x.shape))
            return SimpleNamespace(anomaly_map=1 - x)

    module = ModuleType("diffad.pipeline")
    module.AnomalyPipeline = Pipeline
    monkeypatch.setitem(sys.modules, "diffad.pipeline", module)
    for i in range(20):
        shutil.copy(folder / "train" / f"{i:02}.png", folder / "val" / f"{i:02}.png")
    out = tmp_path / "result.json"
    run_implanted_arguments(["--data", str(folder), "--model", "mine", "--size", "32", "--out", str(out)])
    assert shapes == [(16, 1, 32, 32), (4, 1, 32, 32)] * len(KINDS)
    assert "mine" in {row["method"] for row in json.loads(out.read_text())["rows"]}


def test_command_names_the_file_that_is_wrong(folder, capsys):
    def error():
        with pytest.raises(SystemExit) as stop:
            run_implanted_arguments(["--data", str(folder), "--model", "none", "--size", "32"])
        assert stop.value.code == 2
        return capsys.readouterr().err

    odd = folder / "val" / "odd.png"
    Image.new("L", (7, 9)).save(odd)
    assert "odd.png: expected the shape of the mask (40, 34), got (9, 7)" in error()
    odd.write_bytes(b"not a picture")
    assert "odd.png" in error()
    for file in (folder / "val").iterdir():
        file.unlink()
    assert "val: expected PNG files, found none" in error()
    (folder / "brain_mask.png").unlink()
    assert "brain_mask.png" in error()


@pytest.mark.shared
def test_baselines_on_real_slices_are_neither_blind_nor_perfect(shared_dir, tmp_path):
    out = tmp_path / "result.json"
    data = str(shared_dir / "data/ixi_t1_axial")
    run_implanted_arguments(["--data", data, "--model", "none", "--size", "64", "--out", str(out)])
    found = {(r["method"], r["kind"]): r["ap"] for r in json.loads(out.read_text())["rows"]}
    fitted = {key: ap for key, ap in found.items() if key[0] != "raw intensity"}
    for (method, kind), ap in fitted.items():
        assert math.isfinite(ap)
        assert 0.1 < ap < 0.9, (method, kind)
    assert all(ap <= fitted[method, "dark"] for (method, _), ap in fitted.items())
    raw = {kind: ap for (method, kind), ap in found.items() if method == "raw intensity"}
    assert raw["dark"] < 0.1 < raw["bright"]


def test_lesions_of_any_maker_are_compared_kind_by_kind():
    slices, brain = scans()
    truth = slices > 0.55
    rows = compare({"raw": lambda x: x}, slices, brain, 7, lambda x, b, seed: {str(seed): (x, truth)})
    assert [row.kind for row in rows] == ["7", "mean"]
    assert rows[0].ap == rows[1].ap == 1
