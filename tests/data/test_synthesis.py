"""The parts of the generator: shapes that do not fold, fields, scanners, strippings."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.data.scan_noise import add_rician_noise
from diffad.data.spline import draw_controls, evaluate_at_points, evaluate_spline
from diffad.data.synthesis.geometry import draw_points, read_linear, read_nearest
from diffad.data.synthesis.grid import PaintGrid
from diffad.data.synthesis.head import _refine
from diffad.data.synthesis.scanner import Scanner
from diffad.data.synthesis.stripping import Stripping
from diffad.types import generator_for

AXES = [torch.linspace(-90, 90, 61), torch.linspace(-75, 75, 51)]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([None, 1]))
def test_shapes_do_not_fold(seed, mirror):
    rows, columns = draw_points(AXES, mirror, 1.0, generator_for(seed))
    area = torch.diff(rows, dim=0)[:, 1:] * torch.diff(columns, dim=1)[1:]
    area -= torch.diff(rows, dim=1)[1:] * torch.diff(columns, dim=0)[:, 1:]
    assert area.sign().unique().numel() == 1


def test_without_strength_nothing_moves_but_the_mirror():
    flips = 0
    for seed in range(40):
        rows, columns = draw_points(AXES, 1, 0.0, generator_for(seed))
        torch.testing.assert_close(rows, AXES[0][:, None].expand_as(rows))
        flips += bool(columns[0, 0] > 0)
        torch.testing.assert_close(columns.abs(), AXES[1].abs().expand_as(columns))
    assert 10 < flips < 30


def test_field_at_points_is_the_field_on_the_grid():
    controls = draw_controls(1, (1.0, 1.0, 1.0), 0.5, generator_for(0))
    axes = [torch.linspace(0, 1, n) for n in (4, 5, 6)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    field = evaluate_spline(controls, 0.5, axes, (0.0, 0.0, 0.0))
    torch.testing.assert_close(evaluate_at_points(controls, 0.5, points), field.flatten())


def test_nearest_and_linear_reading_find_the_pixels_themselves():
    image = torch.rand(1, 6, 8, generator=generator_for(0))
    axes = [(torch.arange(n) + 0.5 - n / 2) * s for n, s in ((6, 2.0), (8, 3.0))]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    assert torch.equal(read_nearest(image, points, (2.0, 3.0)), image)
    torch.testing.assert_close(read_linear(image[0], points, (2.0, 3.0)), image[0])
    assert not read_nearest(image, points + 1000, (2.0, 3.0)).any()


def test_finer_pixels_keep_flat_tissues_and_their_share():
    planes = torch.zeros(1, 10, 10, dtype=torch.uint8)
    planes[0, 2:8, 3:7] = 5
    finer = _refine(planes)
    assert finer.shape == (1, 20, 20)
    assert set(finer.unique().tolist()) == {0, 5}
    assert (finer[0, 5:15, 7:13] == 5).all()
    assert float((finer == 5).float().mean()) == pytest.approx(0.24, abs=0.02)


def test_grid_holds_the_head_in_its_middle():
    grid = PaintGrid.around((150.0, 120.0), 128, 224.0)
    assert grid.pitch == (1.75, 1.75)
    assert all((n - m) % 2 == 0 and m * 1.75 > 120 for n, m in zip(grid.shape, grid.part, strict=True))
    part = torch.ones(1, *grid.part)
    whole = grid.pad(part)
    assert whole.shape == (1, 128, 128)
    assert torch.equal(whole, whole.flip(1))
    assert torch.equal(whole, whole.flip(2))
    assert float(whole.sum()) == float(part.sum())


def test_rician_noise_has_the_published_moments():
    """The mean square of a magnitude is that of the signal plus twice the variance."""
    image = torch.full((400, 400), 0.3)
    noisy = add_rician_noise(image, 0.1, generator_for(0))
    assert float((noisy**2).mean()) == pytest.approx(0.3**2 + 2 * 0.1**2, rel=0.01)
    assert float(add_rician_noise(image * 0, 0.1, generator_for(0)).mean()) == pytest.approx(
        0.1 * (torch.pi / 2) ** 0.5, rel=0.01
    )


@pytest.mark.parametrize("ct", [False, True])
def test_scanner_shows_a_flat_head_about_flat(ct):
    for seed in range(10):
        scanner = Scanner.draw(ct, generator_for(seed))
        bias = scanner.evaluate_bias(scanner.bias, [torch.linspace(-0.2, 1.2, 8)] * 3)
        assert (bias > 0).all()
        assert float(bias.max() / bias.min()) < 7
        assert ct == bool((bias == 1).all())
        image = torch.full((1, 40, 40), 0.5)
        shown = scanner.digitise(scanner.show(image, torch.ones(40, 40)), generator_for(1))
        assert shown.shape == image.shape
        assert shown.isfinite().all()


def test_stripping_cuts_at_its_rim_and_never_in_the_depth_of_a_brain():
    depth = torch.linspace(-30, 30, 61).repeat(61, 1)
    axes = [torch.arange(61.0), torch.arange(61.0)]
    assert torch.equal(Stripping(2.0).cut(depth, axes, generator_for(0)), depth <= 2.0)
    for seed in range(50):
        left = Stripping.draw(generator_for(seed)).cut(depth, axes, generator_for(seed, 1))
        assert left[depth < -5].all()
        assert not left[depth > 11].any()
