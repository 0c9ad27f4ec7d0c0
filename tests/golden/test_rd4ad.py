"""What must hold of reverse distillation, whatever it learned."""

import pytest
import torch

from diffad.detectors.distillation import Student, blur_map, compare_cells, compare_items
from diffad.registry import DETECTORS
from diffad.types import DetectorExample


def make_detector(**options):
    torch.manual_seed(0)
    return DETECTORS.build("rd4ad", size=64, weights="random", repeats=1, **options).eval()


def test_a_student_that_agrees_finds_nothing_and_costs_nothing():
    detector = make_detector()
    detector.student = torch.nn.Identity()
    x = torch.rand(2, 1, 64, 64)
    mask = torch.ones_like(x)
    assert float(detector.detect(x, mask).map.abs().max()) < 1e-5
    loss = detector(DetectorExample(x, x, mask, torch.zeros_like(x), torch.zeros(2), []))
    torch.testing.assert_close(loss, torch.zeros(2), rtol=0, atol=1e-5)


def test_published_shapes_of_features_code_and_answer():
    """Stages on grids of 64, 32 and 16 go through a code of twice the coarsest width on a grid of 8."""
    student = Student([8, 16, 32], 2).eval()
    features = [torch.rand(1, w, n, n) for w, n in ((8, 64), (16, 32), (32, 16))]
    parts = [down(f) for down, f in zip(student.downs, features, strict=True)]
    assert {tuple(p.shape) for p in parts} == {(1, 32, 16, 16)}
    assert student.squeeze(torch.cat(parts, 1)).shape == (1, 64, 8, 8)
    assert [a.shape for a in student(features)] == [f.shape for f in features]


def test_cosines_in_closed_form():
    a, b = torch.zeros(1, 2, 1, 2), torch.zeros(1, 2, 1, 2)
    a[0, 0], b[0, 0, 0, 0], b[0, 1, 0, 1] = 1, 2, 1
    torch.testing.assert_close(compare_cells(a, b)[0, 0, 0], torch.tensor([0.0, 1.0]))
    assert float(compare_items(a, b)) == pytest.approx(1 - 2 / (2 * 5) ** 0.5, rel=1e-5)


def test_published_smoothing_is_a_gaussian():
    x = torch.zeros(1, 1, 41, 41)
    x[0, 0, 20, 20] = 1
    y = blur_map(x, 4.0)[0, 0]
    assert float(y.sum()) == pytest.approx(1, abs=1e-3)
    assert float(y[20, 24] / y[20, 20]) == pytest.approx(torch.tensor(-0.5).exp().item(), rel=1e-4)
    torch.testing.assert_close(blur_map(torch.ones_like(x), 4.0), torch.ones_like(x))


def test_the_target_is_the_clean_scan():
    detector, x = make_detector(), torch.rand(1, 1, 64, 64)
    mask, seen = torch.ones_like(x), torch.rand(1, 1, 64, 64)
    example = DetectorExample(seen, x, mask, torch.zeros_like(x), torch.zeros(1), [])
    answers = detector.student(detector._look(seen, mask))
    target = detector._look(x, mask)
    expected = sum(compare_items(a, b) for a, b in zip(answers, target, strict=True))
    torch.testing.assert_close(detector(example), expected)
