"""Boxes become an image again."""

import pytest
import torch

from diffad.samplers.boxes import crop_box, list_boxes
from diffad.samplers.stitch import Stitch, blend_window


def test_gaussian_window_is_that_of_monai():
    from monai.data.utils import compute_importance_map

    for sides in [(9, 6), (8, 5, 4)]:
        theirs = compute_importance_map(sides, mode="gaussian", sigma_scale=0.125)
        torch.testing.assert_close(blend_window(sides, "gaussian"), theirs.float(), rtol=1e-4, atol=0)


def test_mean_window_is_one_everywhere():
    assert torch.equal(blend_window((3, 4)), torch.ones(3, 4))


def stitched(x, boxes, weights, alive):
    stitch = Stitch(x, boxes, weights, alive)
    stitch.add([crop_box(torch.full_like(x, k + 1.0), box) for k, box in enumerate(boxes)])
    return stitch.image()


def test_overlapping_boxes_are_weighed():
    x, boxes = torch.zeros(1, 1, 3, 1), [(slice(0, 2), slice(0, 1)), (slice(1, 3), slice(0, 1))]
    weights = torch.tensor([[1.0], [3.0]])
    image = stitched(x, boxes, weights, torch.ones(2, 1, dtype=torch.bool))
    assert image.flatten().tolist() == [1.0, (3 * 1 + 1 * 2) / 4, 2.0]


def test_boxes_that_do_not_count_for_an_item_leave_it_as_it_is():
    x = torch.full((2, 1, 4, 2), -7.0)
    alive = torch.tensor([[True, False], [True, True]])
    image = stitched(x, list_boxes((4, 2), (2, 2)), blend_window((2, 2)), alive)
    assert image[:, 0, :, 0].tolist() == [[1, 1, 2, 2], [-7, -7, 2, 2]]


def test_answers_that_do_not_count_may_be_anything():
    x, boxes = torch.zeros(1, 1, 2, 2), [(slice(0, 2), slice(0, 2))] * 2
    stitch = Stitch(x, boxes, blend_window((2, 2)), torch.tensor([[True], [False]]))
    stitch.add([torch.ones_like(x), torch.full_like(x, float("nan"))])
    assert torch.equal(stitch.image(), torch.ones_like(x))


@pytest.mark.parametrize("blend", ["mean", "gaussian"])
def test_a_constant_image_survives_blending(blend):
    x = torch.full((2, 1, 10, 7, 5), 0.7)
    boxes = list_boxes((10, 7, 5), (4, 3, 5), 0.5)
    stitch = Stitch(torch.zeros_like(x), boxes, blend_window((4, 3, 5), blend), torch.ones(len(boxes), 2) > 0)
    stitch.add([crop_box(x, box) for box in boxes])
    torch.testing.assert_close(stitch.image(), x)
