"""Results in the space of the template are called by its entity, and nobody takes them for others."""

import json
from pathlib import Path

import numpy as np
import pytest

from diffad.cli import main
from diffad.io.naming import Naming, find_maps
from diffad.io.search import find_scans
from diffad.io.spaces import SPACE_SUFFIXES, TEMPLATE_SPACE, is_carried
from diffad.io.subjects import Subject
from diffad.predict.template_space import require_apart
from tests.helpers.cohorts import brain, write
from tests.helpers.ways import SHAPE
from tests.helpers.ways import _quick_ways as _quick_ways
from tests.helpers.ways import cohort as cohort

pytest.importorskip("SimpleITK")
pytestmark = pytest.mark.usefixtures("_quick_ways")
TO = ("--space", TEMPLATE_SPACE, "--no-page")
KINDS = ("scan", "anomaly", "mask", "twin", "seen")


def test_bids_names_have_the_space_once():
    naming = Naming("sub-01_run-1_T1w", Path("sub-01/anat"), bids=True)
    names = {kind: naming.path(kind).name for kind in SPACE_SUFFIXES}
    space = f"space-{TEMPLATE_SPACE}"
    assert names["template_anomaly"] == f"sub-01_run-1_{space}_desc-anomaly_T1w.nii.gz"
    assert names["template_mask"] == f"sub-01_run-1_{space}_desc-anomalyT1w_mask.nii.gz"
    assert names["template_scan"] == f"sub-01_run-1_{space}_desc-scan_T1w.nii.gz"
    assert names["template_xfm"] == f"sub-01_run-1_from-T1w_to-{TEMPLATE_SPACE}_mode-image_xfm.tfm"
    other = Naming("sub-01_space-other_T1w", Path("sub-01/anat"), bids=True).path("template_anomaly").name
    assert other == f"sub-01_{space}_desc-fromotherAnomaly_T1w.nii.gz"


@pytest.mark.parametrize("bids", [True, False])
def test_no_template_map_is_taken_for_a_map_or_a_scan(tmp_path, bids):
    namings = [
        Naming(name, Path("sub-01/anat"), bids) for name in ("sub-01_T1w", f"sub-01_{'space-own'}_T1w")
    ]
    for naming in namings:
        for kind, path in naming.files(tmp_path).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"image_score": 1.0}) if kind == "info" else "")
    write(tmp_path / "scan.nii.gz", brain(0))
    assert find_scans([tmp_path]).scans == [tmp_path / "scan.nii.gz"]
    assert set(find_maps(tmp_path).values()) == (set(namings) if bids else set())


def test_scan_that_names_the_template_keeps_its_own_map(tmp_path):
    naming = Naming(f"sub-01_space-{TEMPLATE_SPACE}_T1w", bids=True)
    for kind, path in naming.files(tmp_path).items():
        path.write_text("{}" if kind == "info" else "")
    assert list(find_maps(tmp_path).values()) == [naming]
    assert is_carried(tmp_path / naming.path("template_anomaly"))
    foreign = tmp_path / "other" / f"A_space-{TEMPLATE_SPACE}_anomaly.nii.gz"
    foreign.parent.mkdir()
    foreign.touch()
    assert [n.name for n in find_maps(foreign.parent).values()] == [f"A_space-{TEMPLATE_SPACE}"]


def test_scans_whose_results_would_share_a_name_are_refused():
    names = ("sub-01_T1w", f"sub-01_space-{TEMPLATE_SPACE}_T1w")
    subjects = [Subject(name, (Path(f"{name}.nii.gz"),), bids=True) for name in names]
    with pytest.raises(ValueError, match="would share results called sub-01_space-"):
        require_apart(subjects)
    require_apart(subjects[:1])


def test_evaluation_counts_each_scan_once(predict, cohort, tmp_path, capsys):
    predict(*TO)
    lesion = np.zeros(SHAPE, np.uint8)
    lesion[14:16, 15:17, 9:11] = 1
    for seed in range(2):
        write(tmp_path / "lesions" / f"s{seed}_lesion.nii.gz", lesion)
    scores = tmp_path / "scores.json"
    assert (
        main(["evaluate", str(predict.out), "--masks", str(tmp_path / "lesions"), "--out", str(scores)]) == 0
    )
    assert json.loads(scores.read_text())["pooled"]["scans"] == 2
