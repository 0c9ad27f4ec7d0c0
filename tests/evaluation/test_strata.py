import json

import numpy as np
import pytest

from diffad.evaluation.cohort import Evaluation
from diffad.evaluation.samples import Sample
from diffad.evaluation.strata import StrataSet, read_kinds
from diffad.evaluation.tables import as_json

BRAIN = np.ones((30, 30, 30), dtype=bool)


def make_sample(name, truth, flagged, scores=None):
    scores = np.asarray(truth, np.float32) if scores is None else scores
    return Sample(name, name, scores, truth, BRAIN, (2.0, 2.0, 2.0), axis=2, detected=flagged)


def mark(*cubes):
    mask = np.zeros(BRAIN.shape, dtype=bool)
    for corner, side in cubes:
        mask[tuple(slice(c, c + side) for c in corner)] = True
    return mask


@pytest.fixture
def strata():
    strata_set = StrataSet({"a": "dark"})
    lesions = mark(((2, 2, 2), 2), ((12, 12, 12), 10))  # .064 ml and 8 ml
    # the small one is missed; of two false detections one has more than 1 ml
    flagged = mark(((12, 12, 12), 5), ((24, 24, 24), 6), ((2, 26, 26), 1))
    strata_set.add(make_sample("a", lesions, flagged))
    strata_set.add(make_sample("b", mark(), mark(((0, 0, 0), 3))))
    return strata_set.evaluate()


def test_rows_say_what_is_detected(strata):
    rows = {row["stratum"]: row for row in strata.lesions}
    assert set(rows) == {
        "all lesions",
        "< .1 ml",
        "1 to 10 ml",
        "dark",
        "infratentorial",
        "periventricular",
    }
    everything = rows["all lesions"]
    assert (everything["lesions"], everything["scans"]) == (2, 1)
    assert everything["sensitivity"] == 0.5
    assert (rows["< .1 ml"]["sensitivity"], rows["1 to 10 ml"]["sensitivity"]) == (0, 1)
    assert (everything["false_positives"], everything["false_positives_1ml"]) == (2, 1)
    assert everything["pixel_ap"] == everything["best_dice"] == 1
    # 125 voxels hit; flagged are they and 217 more; of 1000 in this lesion
    assert rows["1 to 10 ml"]["dice"] == pytest.approx(2 * 125 / (125 + 217 + 1000))


def test_healthy_heads_are_counted_by_themselves(strata):
    healthy = strata.healthy
    assert (healthy["heads"], healthy["detections"], healthy["detections_1ml"]) == (1, 1, 0)
    assert healthy["share_flagged"] == pytest.approx(27 / 27000)


def test_without_a_threshold_ranking_stays():
    strata_set = StrataSet()
    strata_set.add(make_sample("a", mark(((2, 2, 2), 3)), None))
    (row, *_) = strata_set.evaluate().lesions
    assert row["pixel_ap"] == 1
    assert np.isnan(row["dice"])
    assert np.isnan(row["sensitivity"])
    text = as_json(Evaluation({}, [], [], [], strata=strata_set.evaluate()))
    assert json.loads(text)["strata"]["lesions"][0]["sensitivity"] is None


def test_slices_have_no_strata():
    flat = Sample("a", "a", np.zeros((4, 4)), np.zeros((4, 4), bool), np.ones((4, 4), bool))
    with pytest.raises(ValueError, match="expected a volume"):
        StrataSet().add(flat)


def test_kinds_come_from_the_table_beside_the_masks(tmp_path):
    (tmp_path / "lesions").mkdir()
    assert read_kinds(tmp_path / "lesions") == {}
    (tmp_path / "lesions.csv").write_text("scan,kind\nhead,dark\n")
    assert read_kinds(tmp_path / "lesions") == {"head": "dark"}
