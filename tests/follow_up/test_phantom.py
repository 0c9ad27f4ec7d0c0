"""The true command on a phantom: a lesion that grew and one that is new, and the same head scanned again.

Findings that come or go by re-scanning alone are expected, and their noise is unknown for FLAIR.
"""

import csv

import numpy as np
import pytest

pytest.importorskip("nilearn")
pytest.importorskip("SimpleITK")

from diffad.cli import main
from diffad.data.volume import Volume
from diffad.follow_up.rescan import rescan
from tests.helpers.heads import world

pytestmark = pytest.mark.slow
OLD, NEW = np.array([30.0, -5.0, 32.0]), np.array([-32.0, -45.0, 30.0])
"""Places in the phantom's head, in mm of its world, which is near that of the template."""


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """A healthy phantom in FLAIR, and its brain."""
    out = tmp_path_factory.mktemp("phantom")
    words = ["phantom", "--out", str(out), "--modality", "flair", "--subjects", "1", "--lesioned", "0"]
    assert main([*words, "--spacing", "2", "--seed", "2"]) == 0
    (scan,), (mask,) = (sorted(out.rglob(end)) for end in ("*_FLAIR.nii.gz", "*_desc-brain_mask.nii.gz"))
    return Volume.load(scan), Volume.load(mask, allow_constant=True).data[0] > 0


def paint(volume, brain, *balls):
    """Brighten balls (centre in mm, radius in mm) to a lesion's intensity."""
    points = world(volume.data.shape[1:], volume.affine)
    inside = np.any([np.linalg.norm(points - c, axis=-1) < r for c, r in balls], axis=0) & brain
    bright = 1.7 * np.percentile(volume.data[0][brain], 60)
    return Volume(np.where(inside, bright, volume.data), volume.affine, volume.origin)


def write(place, name, volume, brain, seed=None):
    if seed is not None:
        volume, brain, _ = rescan(volume, brain, seed)
    volume.save(volume.data, place / f"{name}_FLAIR.nii.gz")
    volume.save(brain, place / f"{name}_FLAIR_brain.nii.gz", dtype=np.uint8)
    return place / f"{name}_FLAIR.nii.gz"


def compare(first, second, out, *words):
    options = ["--out", str(out), "--mask", "_brain", *words]
    assert main(["compare", str(first), str(second), *options]) == 0
    with (out / "comparison" / "changes.csv").open() as file:
        return list(csv.DictReader(file))


def find(rows, centre):
    """Return the row whose centre in the first visit lies nearest to a place, if it is within 12 mm."""
    places = [np.array([float(row[f"first_centre_{a}_mm"]) for a in "xyz"]) for row in rows]
    distances = [np.linalg.norm(place - centre) for place in places]
    assert min(distances) < 12, (centre, places)
    return rows[int(np.argmin(distances))]


def test_lesion_that_grew_and_new_one_are_found(phantom, tmp_path):
    volume, brain = phantom
    first = write(tmp_path, "first", paint(volume, brain, (OLD, 10)), brain)
    second = write(tmp_path, "second", paint(volume, brain, (OLD, 16), (NEW, 13)), brain, seed=5)
    rows = compare(first, second, tmp_path / "out")
    grown, new = find(rows, OLD), find(rows, NEW)
    assert [(row["status"], row["kind"]) for row in (new, grown)] == [("new", "one"), ("not judged", "one")]
    assert float(grown["second_ml"]) > 1.5 * float(grown["first_ml"]) > 0
    assert float(new["second_ml"]) > 1


def test_phantom_scanned_again_keeps_its_lesion(phantom, tmp_path):
    volume, brain = phantom
    painted = paint(volume, brain, (OLD, 14))
    rows = compare(
        write(tmp_path, "first", painted, brain),
        write(tmp_path, "second", painted, brain, seed=6),
        tmp_path / "out",
    )
    lesion = find(rows, OLD)
    assert 0.75 < float(lesion["second_ml"]) / float(lesion["first_ml"]) < 1.33
    assert lesion["status"] == "not judged"
    assert {row["status"] for row in rows if row is not lesion} <= {"new", "gone"}
