"""URD: agreement costs and finds nothing, the alarm of the teacher, and the published sizes."""

import pytest
import torch

from diffad.detectors.distillation import compare_items
from diffad.detectors.injection import GuidedStudent, Injection
from diffad.detectors.student_blocks import Narrow, make_shortcut
from diffad.detectors.urd import measure_alarm, sum_levels
from diffad.registry import DETECTORS
from diffad.types import DetectorExample

WIDTHS = (256, 512, 1024)
UNUSED = 4096 * 2048 + 2 * 2048
"""The published code has a convolution and a normalisation in its bottleneck that nothing uses."""


class Echo(torch.nn.Module):
    """A student that agrees."""

    def forward(self, features):
        return list(features)


def make_detector(**options):
    torch.manual_seed(0)
    return DETECTORS.build("urd", size=64, weights="random", repeats=1, **options).eval()


def make_example(x, seen=None, damage=None):
    mask = torch.ones_like(x)
    damage = torch.zeros_like(x) if damage is None else damage
    return DetectorExample(x if seen is None else seen, x, mask, damage, torch.zeros(len(x)), [])


def count(network):
    return sum(p.numel() for p in network.parameters())


def test_agreement_finds_nothing_and_costs_nothing():
    detector, x = make_detector(), torch.rand(2, 1, 64, 64)
    detector.student = Echo()
    assert float(detector.detect(x, torch.ones_like(x)).map.abs().max()) < 1e-5
    torch.testing.assert_close(detector(make_example(x)), torch.zeros(2), rtol=0, atol=1e-5)


def test_a_silent_teacher_costs_one_a_level_where_all_is_damaged():
    detector, x = make_detector(), torch.rand(2, 1, 64, 64)
    features = detector.features(x)
    damage = torch.ones_like(x)
    torch.testing.assert_close(measure_alarm(features, features, damage), torch.full((2,), 3.0))
    torch.testing.assert_close(measure_alarm(features, features, 0 * damage), torch.zeros(2))
    # a quarter of each grid
    damage[..., :32], damage[..., :32, :] = 0, 0
    torch.testing.assert_close(measure_alarm(features, features, damage), torch.full((2,), 0.75))


def test_an_alarm_in_the_right_place_costs_nothing():
    expert = torch.zeros(1, 2, 4, 4)
    expert[:, 0] = 1
    alarmed = expert.clone()
    alarmed[:, :, :2] = expert[:, :, :2].flip(1)  # at a right angle
    damage = torch.zeros(1, 1, 16, 16)
    damage[:, :, :8] = 1
    torch.testing.assert_close(measure_alarm([alarmed], [expert], damage), torch.zeros(1))


@pytest.mark.parametrize(("pixels", "loss"), [(1, 0.0), (2, 0.0), (3, 1 / 16)])
def test_a_cell_is_damaged_where_more_than_half_of_its_middle_is(pixels, loss):
    expert, damage = torch.ones(1, 2, 4, 4), torch.zeros(1, 1, 16, 16)
    middle = [(5, 5), (5, 6), (6, 5), (6, 6)]
    for row, column in middle[:pixels]:
        damage[..., row, column] = 1
    torch.testing.assert_close(measure_alarm([expert], [expert], damage), torch.tensor([loss]))


def test_published_sizes_of_the_student():
    with torch.device("meta"):
        student = GuidedStudent(WIDTHS, [3, 3, 4, 6], "narrow")
        plain = GuidedStudent(WIDTHS, [3, 3, 4, 6], "narrow", by_agreement=False)
    code = count(student.downs) + count(student.squeeze)
    assert code + UNUSED == 67_277_824
    assert count(student.ups) == 24_917_504
    assert count(student.injections) == 47_853_568
    assert count(student) + UNUSED == 140_048_896
    assert count(plain) == count(student)


def test_published_shapes_of_features_and_code():
    from diffad.detectors.backbone_networks import ARCHITECTURES

    plan = ARCHITECTURES["wide_resnet50"]
    assert [(plan.channels[k], 256 // plan.strides[k]) for k in (1, 2, 3)] == [
        (256, 64),
        (512, 32),
        (1024, 16),
    ]
    with torch.device("meta"):
        student = GuidedStudent(WIDTHS, [3, 3, 4, 6], "narrow")
        features = [torch.rand(1, w, n, n) for w, n in zip(WIDTHS, (64, 32, 16), strict=True)]
        parts = [down(f) for down, f in zip(student.downs, features, strict=True)]
        assert {tuple(p.shape) for p in parts} == {(1, 1024, 16, 16)}
        assert student.squeeze(torch.cat(parts, 1)).shape == (1, 2048, 8, 8)
        assert [a.shape for a in student(features)] == [f.shape for f in features]


@pytest.mark.parametrize("guided", [True, False])
def test_what_is_injected_is_weighed_by_agreement(guided):
    """Where student and teacher are at a right angle, guidance passes the student alone."""
    torch.manual_seed(0)
    injection = Injection(4, 3, guided).eval()
    x, teacher = torch.zeros(1, 4, 4, 4), torch.zeros(1, 4, 4, 4)
    x[:, 0], teacher[:, 1] = 1, 1
    finer = torch.rand(1, 3, 8, 8)
    expected = injection.join(torch.cat([x, injection.mix(x)], 1))
    assert torch.allclose(injection(x, teacher, finer), expected) == guided
    # and where they agree, the teacher alone
    other = Injection(4, 3, not guided).eval()
    other.load_state_dict(injection.state_dict())
    torch.testing.assert_close(other(x, 2 * x, finer), injection(x, 2 * x, finer))


def test_the_expert_stays_and_the_teacher_learns():
    detector = make_detector().train()
    x = torch.rand(4, 1, 64, 64)
    damage = torch.zeros_like(x)
    damage[..., 20:40, 20:40] = 1
    expert = {k: v.clone() for k, v in detector.features.state_dict().items()}
    weights = [p.clone() for p in detector.teacher.parameters()]
    optimizer = torch.optim.SGD(detector.parameters(), 0.01)
    detector(make_example(x, torch.where(damage > 0, 1 - x, x), damage)).mean().backward()
    optimizer.step()
    assert all(torch.equal(v, expert[k]) for k, v in detector.features.state_dict().items())
    assert any(not torch.equal(a, b) for a, b in zip(detector.teacher.parameters(), weights, strict=True))


def test_the_student_does_not_move_the_teacher():
    """Of the loss of the student no gradient reaches the teacher: it is the same with any student."""
    detector, x = make_detector(), torch.rand(2, 1, 64, 64)
    example = make_example(x, torch.rand(2, 1, 64, 64), (torch.rand(2, 1, 64, 64) > 0.5).float())
    gradients = []
    for student in (detector.student, Echo()):
        detector.zero_grad()
        detector.student = student
        detector(example).mean().backward()
        gradients.append([p.grad.clone() for p in detector.teacher.parameters()])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


def test_the_student_is_told_the_clean_scan_of_both():
    detector, x = make_detector(), torch.rand(1, 1, 64, 64)
    seen = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        target, expert, alarmed = detector.teacher(x), detector.features(x), detector.teacher(seen)
        answers = [detector.student(target), detector.student(alarmed)]
        students = sum(sum_levels(compare_items, a, f) for a in answers for f in (target, expert))
        teacher = detector._teach(x, seen, expert, torch.zeros_like(x))
        torch.testing.assert_close(detector(make_example(x, seen)), students + teacher)


def test_published_blocks_are_of_three_convolutions():
    block = Narrow(8, 8)
    assert [m.kernel_size for m in block.body if hasattr(m, "kernel_size")] == [(1, 1), (3, 3), (1, 1)]
    assert isinstance(make_shortcut(8, 8, ""), torch.nn.Identity)
    assert Narrow(8, 4, "up")(torch.rand(2, 8, 3, 3)).shape == (2, 4, 6, 6)
