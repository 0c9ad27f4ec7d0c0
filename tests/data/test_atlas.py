"""Names of places: the right side on every grid, known landmarks, and honest silence where nobody knows."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.data.atlas.brain_shape import fit_brain_shape, measure_brain_shape
from diffad.data.atlas.place_atlas import LABELS_FILE, SURFACE, load_place_atlas
from diffad.data.atlas.place_name import PlaceName, name_place
from diffad.data.atlas.template_map import REGISTERED, SHAPED, TemplateMap
from diffad.data.volume import Volume
from tests.helpers.heads import affine_of

OTHER = {"left": "right", "right": "left"}
LANDMARKS = {
    (10, -20, 8): ("thalamus", "deep grey matter", ""),
    (26, 4, 2): ("putamen", "deep grey matter", ""),
    (28, -20, -16): ("hippocampus", "deep grey matter", ""),
    (12, 12, 10): ("caudate nucleus", "deep grey matter", ""),
    (24, 40, 8): ("frontal lobe", "white matter", ""),
    (22, -42, 42): ("parietal lobe", "white matter", ""),
    (64, -20, -14): ("temporal lobe", "cortex", ""),
    (12, -90, 10): ("occipital lobe", "white matter", "juxtacortical"),
    (38, 4, 2): ("insula", "cortex", ""),
    (25, -65, -35): ("cerebellum", "white matter", "infratentorial"),
    (35, -65, -45): ("cerebellum", "cortex", "infratentorial"),
    (28, -58, 18): ("temporal lobe", "white matter", "periventricular"),
}
"""Structure, tissue and zone at points of the right half of the template, in mm."""
GRIDS = {
    "ras": {"spacing": (3, 3, 3)},
    "las": {"spacing": (3, 3, 3), "flip": (-1, 1, 1)},
    "lps": {"spacing": (3, 3, 3), "flip": (-1, -1, 1)},
    "thick": {"spacing": (1.6, 2.4, 5.5), "flip": (-1, 1, 1), "shape": (112, 96, 34)},
    "oblique": {"spacing": (3, 3, 3), "turn": (15, -6, 8), "flip": (-1, 1, 1), "shape": (80, 80, 72)},
}


def ball(centre, radius=4.0):
    axis = np.arange(-radius, radius + 0.5)
    offsets = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    return np.array(centre, float) + offsets[(offsets**2).sum(1) <= radius**2]


def solid(atlas):
    return np.array([r.index > 0 and r.tissue != SURFACE for r in atlas.regions])


def write_head(path, grid):
    """Write the brain of the atlas as a head that nods, lies off centre and is a little smaller."""
    atlas, affine = load_place_atlas(), affine_of(**({"shape": (64, 72, 60)} | GRIDS[grid]))
    shape = GRIDS[grid].get("shape", (64, 72, 60))
    points = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 3)
    world = points @ affine[:3, :3].T + affine[:3, 3]
    to_template = nod()
    brain = solid(atlas)[atlas.look_up(world @ to_template[:3, :3].T + to_template[:3, 3])]
    image = np.where(brain, 50 + world[:, 0] / 10, 0).reshape(shape).astype(np.float32)
    nib.save(nib.Nifti1Image(image, affine), path)
    return to_template


def nod(degrees=12.0):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.diag([1.05, 1.08, 1.1, 1.0])
    matrix[1:3, 1:3] = matrix[1:3, 1:3] @ np.array([[c, -s], [s, c]])
    matrix[:3, 3] = (-4.0, 3.0, -2.0)
    return matrix


def test_every_label_has_a_row_and_the_map_is_small():
    atlas = load_place_atlas()
    assert [r.index for r in atlas.regions] == list(range(len(atlas.regions)))
    assert set(np.unique(atlas.labels)) == set(range(len(atlas.regions)))
    assert len({(r.side, r.structure, r.tissue, r.zones) for r in atlas.regions}) == len(atlas.regions)
    assert LABELS_FILE.stat().st_size < 300_000


def test_the_mirror_image_of_the_atlas_swaps_its_sides_and_nothing_else():
    atlas = load_place_atlas()
    numbers = {(r.side, r.structure, r.tissue, r.zones): r.index for r in atlas.regions}
    other = [numbers[OTHER.get(r.side, ""), r.structure, r.tissue, r.zones] for r in atlas.regions]
    assert np.array_equal(atlas.labels[::-1], np.array(other)[atlas.labels])


def test_left_lies_at_negative_x():
    atlas = load_place_atlas()
    x = (np.argwhere(atlas.labels)[:, 0] * 2.0) + atlas.affine[0, 3]
    labels = atlas.labels[atlas.labels > 0]
    sides = np.array([{"left": -1, "right": 1}.get(r.side, 0) for r in atlas.regions])[labels]
    assert (x * sides >= 0).all()


@pytest.mark.parametrize("point", LANDMARKS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_landmark_has_its_name_on_both_sides(point, side):
    x, y, z = point
    name = name_place(ball((x if side == "right" else -x, y, z), 2.0), load_place_atlas())
    structure, tissue, zone = LANDMARKS[point]
    assert (name.side, name.structure, name.tissue) == (side, structure, tissue)
    assert zone in name.zone
    assert name.place.startswith(f"{side} {structure}")


@pytest.mark.parametrize("point", [(0, -28, -30), (0, -50, -20), (0, 26, 6)])
def test_what_lies_in_the_middle_has_no_side(point):
    name = name_place(ball(point, 2.0), load_place_atlas())
    assert name.side == "midline"
    assert name.structure in ("brain stem", "cerebellar vermis", "corpus callosum")
    assert not name.place.startswith(("left", "right"))


@given(st.tuples(st.integers(-75, 75), st.integers(-110, 80), st.integers(-70, 85)), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_mirrored_voxels_have_the_mirrored_name(centre, radius):
    points, atlas = ball(centre, radius), load_place_atlas()
    points = points[np.abs(points[:, 0]) % 2 != 0]  # halfway between two voxels, rounding takes a side
    one, two = (name_place(points * [sign, 1, 1], atlas) for sign in (1, -1))
    assert two.side == OTHER.get(one.side, one.side)
    assert (two.structure, two.tissue, two.zone) == (one.structure, one.tissue, one.zone)
    assert bool(one.place) == bool(one.structure)


def test_large_detection_names_what_it_covers_and_a_far_one_nothing():
    atlas = load_place_atlas()
    both = name_place(np.concatenate([ball((-24, 40, 8)), ball((24, 40, 8))]), atlas)
    assert both.side == "both"
    assert both.place.startswith("left and right frontal lobe, white matter")
    two = name_place(np.concatenate([ball((-24, 40, 8)), ball((-55, -20, -14))]), atlas)
    assert set(two.structure.split(" and ")) == {"frontal lobe", "temporal lobe"}
    wide = name_place(ball((0, -20, 5), 60.0)[::7], atlas)
    assert wide.structure.endswith(" and others")
    assert wide.side == "both"
    for points in (np.zeros((0, 3)), ball((300, 0, 0)), ball((1e300, 0, 0)), np.full((3, 3), -81.0)):
        assert name_place(points, atlas) == PlaceName()


@pytest.mark.parametrize("grid", GRIDS)
def test_scan_without_registration_gets_its_way_by_the_shape_of_its_brain(grid, tmp_path):
    truth = write_head(tmp_path / "a.nii.gz", grid)
    volume = Volume.load(tmp_path / "a.nii.gz")
    way = fit_brain_shape(volume.data[0] > 0, volume.affine)
    assert way.source == SHAPED
    points = np.array([[30.0, 20, 10], [-30, -60, 20], [20, -60, -30], [-50, -10, 0]])
    native = (points - truth[:3, 3]) @ np.linalg.inv(truth[:3, :3]).T
    error = np.linalg.norm(way.move(native) - points, axis=1)
    assert error.max() < (14 if grid == "oblique" else 4), error


@pytest.mark.parametrize("cut", ["upper", "front", "left", "slab", "ball", "full", "empty"])
def test_what_is_no_whole_brain_has_no_way(cut):
    atlas = load_place_atlas()
    brain = solid(atlas)[atlas.labels]
    if cut in ("upper", "front", "left"):
        axis = {"upper": 2, "front": 1, "left": 0}[cut]
        index = np.arange(brain.shape[axis]) > brain.shape[axis] // 2
        brain &= np.expand_dims(index, [a for a in range(3) if a != axis])
    elif cut == "slab":
        brain[:, :, :40] = brain[:, :, 49:] = False
    else:
        brain = np.full(brain.shape, cut == "full")
        brain[30:40, 30:40, 30:40] |= cut == "ball"
        brain[:, :, 60:] &= cut != "full"
    with pytest.raises(ValueError, match="expected"):
        fit_brain_shape(brain, atlas.affine)


def test_pitch_is_measured():
    atlas = load_place_atlas()
    brain, tilt = solid(atlas)[atlas.labels], np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]
    change = (
        measure_brain_shape(brain, tilt @ atlas.affine).pitch - measure_brain_shape(brain, atlas.affine).pitch
    )
    assert change == pytest.approx(np.degrees(0.2), abs=1e-6)


def test_way_is_read_from_the_record_as_it_was_written():
    way = TemplateMap(nod(), REGISTERED)
    again = TemplateMap.from_info(way.to_info())
    assert np.allclose(again.matrix, way.matrix, atol=1e-6)
    assert again.source == REGISTERED
    for entry in (
        None,
        5,
        {},
        {"source": "none", "reason": "x"},
        {"source": "registration", "matrix": [[1]]},
    ):
        assert TemplateMap.from_info({"to_template": entry}) is None
