"""The figures of the quick start are those that its commands give."""

import csv
import json
import re
import shlex
from pathlib import Path

import pytest

from diffad.cli import main
from tests.helpers.plugins import ROOT

TEXT = (ROOT / "docs/guide/quickstart.md").read_text(encoding="utf-8")
FOLDERS = ("maps", "maps_own")
"""Results before and after the calibration."""


def list_commands():
    """Commands of the page that need no scan of the reader."""
    blocks = re.findall(r"```bash\n(.*?)```", TEXT, re.S)
    return [line for block in blocks for line in block.splitlines() if "head.nii.gz" not in line]


def read_results(folder):
    """Detected volume, Dice and image score of each scan, and what is pooled."""
    with Path(folder, "results.csv").open(encoding="utf-8", newline="") as file:
        volumes = {row["scan"][:7]: float(row["volume_ml"]) for row in csv.DictReader(file)}
    assert main(["evaluate", folder, "--masks", "phantoms/lesions", "--out", f"{folder}.json"]) == 0
    scores = json.loads(Path(f"{folder}.json").read_text(encoding="utf-8"))
    rows = {row["scan"][:7]: (volumes[row["scan"][:7]], row["dice"]) for row in scores["volumes"]}
    return rows, scores["pooled"], sorted(row["image_score"] for row in scores["volumes"])


def format_share(value):
    """Two digits without the zero in front; nothing where there is no lesion."""
    return "" if value is None else f"{value:.2f}".removeprefix("0")


def test_commands_make_phantoms_calibrate_and_compare():
    steps = [shlex.split(line)[1] for line in list_commands()]
    assert steps == ["phantom", "predict", "evaluate", "calibrate", "predict", "evaluate", "report"]


@pytest.mark.slow
def test_figures_are_those_of_the_shipped_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in list_commands():
        assert main(shlex.split(command)[1:]) == 0, command
    (before, old, _), (after, new, scores) = map(read_results, FOLDERS)
    cells = re.findall(r"^\| `(sub-\d+)` \|(.*)\|$", TEXT, re.M)
    table = {name: [cell.strip() for cell in row.split("|")[1:]] for name, row in cells}
    for name in before:
        volumes = [f"{rows[name][0]:.0f} ml" for rows in (before, after)]
        assert table[name] == volumes + [format_share(rows[name][1]) for rows in (before, after)]
    third, second, first = (f"{score:.1f}" for score in scores)
    alarms = [100 * pooled["healthy_voxels_flagged"] for pooled in (old, new)]
    text = " ".join(TEXT.split())
    assert f"a score of {first} where the others have {second} and {third}" in text
    assert f"{alarms[0]:.0f} % of the voxels of the healthy brain are false alarms" in text
    assert f"{format_tenth(alarms[1])} % of the voxels of the healthy brain" in text
    precisions = [format_share(pooled["pixel_ap"]) for pooled in (old, new)]
    assert "is {} before and {} after".format(*precisions) in text


def format_tenth(value):
    """One digit behind the point, without a zero in front."""
    return f"{value:.1f}".removeprefix("0")
