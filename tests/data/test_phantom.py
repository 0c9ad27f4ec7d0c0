import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation, binary_fill_holes

pytest.importorskip("nilearn")

from diffad.data.phantom import CONTRASTS, KINDS, make_phantom
from diffad.data.phantom.anatomy import EXTENT, ORIGIN, PhantomGrid, load_tissues
from diffad.data.phantom.deform import FOLD, LEVELS, Warp, draw_warp
from diffad.data.phantom.spline import draw_template_controls, evaluate_template_spline
from diffad.data.phantom.tissue import bend
from diffad.types import generator_for

ALL = tuple(CONTRASTS)


@pytest.fixture(scope="session")
def healthy():
    return make_phantom(0, 0, ALL, 4.0)


@pytest.fixture(scope="session")
def shares():
    """Tissues of the same person, subject 0 of seed 0, and where the template shows them."""
    points = draw_warp(generator_for(0, 0, 0))(PhantomGrid(4.0).axes)
    return bend(load_tissues(4), points, generator_for(0, 0, 1))


def mean(scan, where):
    return float(scan[where].mean())


def test_same_keys_make_the_same_phantom_and_others_another(healthy):
    again, other, seed = (
        make_phantom(0, 0, ALL, 4.0),
        make_phantom(0, 1, ("t1",), 4.0),
        make_phantom(1, 0, ("t1",), 4.0),
    )
    for name in ALL:
        np.testing.assert_array_equal(again.images[name], healthy.images[name])
    for item in (other, seed):
        assert not np.array_equal(item.images["t1"], healthy.images["t1"])


def test_a_modality_does_not_depend_on_the_others(healthy):
    for name in ("flair", "ct"):
        np.testing.assert_array_equal(
            make_phantom(0, 0, (name,), 4.0).images[name], healthy.images[name], err_msg=name
        )


def test_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    make_phantom(0, 0, ALL, 8.0, "plaques")
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(("name", "order"), [("t1", "fgw"), ("t2", "wgf"), ("flair", "fwg"), ("ct", "fwg")])
def test_tissues_are_as_bright_as_the_modality_shows_them(healthy, shares, name, order):
    pure = {"f": shares.fluid, "g": shares.grey, "w": shares.white}
    levels = [mean(healthy.images[name], (pure[key] > 0.85).numpy()) for key in order]
    assert levels[0] < levels[1] < levels[2]


def test_ct_has_brain_skull_scalp_and_air_in_hounsfield_units(healthy, shares):
    ct = healthy.images["ct"]
    assert mean(ct, (shares.grey > 0.9).numpy()) == pytest.approx(39, abs=2.5)
    assert mean(ct, (shares.white > 0.9).numpy()) == pytest.approx(30, abs=2.5)
    assert mean(ct, (shares.fluid > 0.9).numpy()) == pytest.approx(9, abs=5)
    assert ct[0, 0, -1] == -1000
    bone = ct > 600
    assert 700 < ct[bone].mean() < 1300
    assert not (bone & healthy.brain).any()
    middle = healthy.brain.shape[2] // 2
    # every way out of the brain leads through bone
    assert binary_fill_holes(ct[..., middle] > 300)[healthy.brain[..., middle]].all()


def test_mr_is_stripped_and_ct_is_not(healthy):
    for name in ("t1", "t2", "flair"):
        np.testing.assert_array_equal(healthy.images[name] > 0, healthy.brain)
    assert (healthy.images["ct"][~healthy.brain] > 0).any()


def test_grid_keeps_the_origin_of_the_template(healthy):
    np.testing.assert_array_equal(healthy.affine[:3, 3], ORIGIN)
    np.testing.assert_array_equal(np.diag(healthy.affine), [4, 4, 4, 1])
    last = healthy.affine[:3, :3] @ (np.array(healthy.brain.shape) - 1) + ORIGIN
    assert (np.abs(last - ORIGIN - np.array(EXTENT) + 1) <= 2).all()


def test_spacing_changes_the_voxels_and_not_the_person(healthy):
    fine = make_phantom(0, 0, ("t1",), 2.0)
    assert fine.brain.sum() * 8 == pytest.approx(healthy.brain.sum() * 64, rel=0.03)
    coarse = fine.brain[::2, ::2, ::2]
    assert (coarse != healthy.brain).sum() < 0.05 * healthy.brain.sum()


def test_template_comes_out_undeformed_where_nothing_moves():
    still = Warp(torch.eye(3), torch.zeros(3), tuple(torch.zeros(3, 16, 16, 16) for _ in LEVELS))
    grid = PhantomGrid(4.0)
    torch.testing.assert_close(still(grid.axes), grid.points)
    torch.testing.assert_close(still.jacobian(grid.axes), torch.ones(grid.points.shape[1:]))


def test_deformations_differ_visibly_between_subjects():
    axes = PhantomGrid(8.0).axes
    brain = make_phantom(0, 0, ("t1",), 8.0).brain
    a, b = (draw_warp(generator_for(0, subject, 0))(axes)[:, brain] for subject in (0, 1))
    apart = torch.linalg.vector_norm(a - b, dim=0)
    assert 3 < float(apart.mean()) < 30


@pytest.mark.parametrize("subject", range(6))
def test_deformations_never_fold(subject):
    assert draw_warp(generator_for(0, subject, 0)).jacobian(PhantomGrid(8.0).axes).min() > 0.2


def test_no_draw_can_fold():
    assert sum(bound / knots for knots, bound in LEVELS) < 1 / FOLD
    worst = []
    for seed in range(3):
        signs = [torch.sign(draw_template_controls(3, knots, generator_for(seed))) for knots, _ in LEVELS]
        controls = tuple(bound * s for s, (_, bound) in zip(signs, LEVELS, strict=True))
        warp = Warp(torch.eye(3), torch.zeros(3), controls)
        worst.append(float(warp.jacobian(PhantomGrid(4.0).axes).min()))
    assert 0 < min(worst) < 0.7


def test_jacobian_is_that_of_finite_differences():
    warp = draw_warp(generator_for(3))
    axes = PhantomGrid(8.0).axes
    double = Warp(warp.matrix.double(), warp.shift.double(), tuple(c.double() for c in warp.controls))
    i, j, k = (u.double()[4:8] for u in axes)
    h = 0.01

    def moved(a, step):
        return double(tuple(u + step * (a == n) for n, u in enumerate((i, j, k))))

    slopes = torch.stack([(moved(a, h) - moved(a, -h)) / (2 * h) for a in range(3)], 1)
    expected = torch.linalg.det(torch.movedim(slopes, (0, 1), (-2, -1)))
    torch.testing.assert_close(double.jacobian((i, j, k)), expected, atol=1e-4, rtol=1e-4)


def test_splines_of_equal_controls_are_constant():
    axes = PhantomGrid(8.0).axes
    controls = torch.ones_like(draw_template_controls(1, 40.0, generator_for(0)))
    torch.testing.assert_close(
        evaluate_template_spline(controls, 40.0, axes), torch.ones(1, *(len(u) for u in axes))
    )


@pytest.mark.parametrize("kind", KINDS)
def test_lesions_are_visible_inside_the_brain_and_change_nothing_else(kind, healthy, shares):
    sick = make_phantom(0, 0, ALL, 4.0, kind)
    np.testing.assert_array_equal(sick.brain, healthy.brain)
    assert sick.lesion.sum() >= 5
    assert not (sick.lesion & ~sick.brain).any()
    assert not (sick.lesion & (shares.fluid > 0.6).numpy()).any()
    for name in ALL:
        change = sick.images[name].astype(float) - healthy.images[name]
        lowest, highest = {"t1": (-700, -80), "ct": (6, 36)}.get(name, (80, 900))
        if name == "ct" and kind != "haemorrhage":
            lowest, highest = -13, -4
        assert lowest < change[sick.lesion].mean() < highest
        assert not change[~binary_dilation(sick.lesion, iterations=4)].any()


def test_slices_are_cut_as_training_cuts_them(healthy):
    slices = healthy.slices("axial", (20, 24))
    # rows from the front to the back, columns from the right to the left
    assert slices.image.shape == (4, 4, 59, 50)
    assert slices.brain.shape == (4, 1, 59, 50)
    assert slices.keys == [20, 21, 22, 23]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"modalities": ("t3",)}, "modalities among t1, t2, flair, ct.*got t3"),
        ({"modalities": ()}, "got none"),
        ({"modalities": ("t1", "t1")}, "at most once"),
        ({"kind": "cyst"}, "lesion among ischaemia.*'cyst'"),
        ({"spacing": 9.0}, "spacing of 0.5 to 8 mm, got 9"),
        ({"spacing": float("nan")}, "spacing"),
        ({"seed": -1}, "at least 0"),
    ],
)
def test_impossible_phantoms_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_phantom(**({"spacing": 8.0} | arguments))
