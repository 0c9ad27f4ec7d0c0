"""Corruptions as lesions: the same for the same seed, scan by scan, and of the kinds asked for."""

import pytest
import torch

from diffad.data.corruptions import TASKS
from diffad.data.lesions import KINDS, implant_all
from diffad.evaluation.corrupted import corrupt_all, lesion_maker
from tests.evaluation.conftest import scans


def same(a, b):
    return list(a) == list(b) and all(
        torch.equal(x, y) for kind in a for x, y in zip(a[kind], b[kind], strict=True)
    )


def test_every_scan_is_changed_by_every_task_inside_the_brain_only():
    slices, brain = scans(3)
    lesions = corrupt_all(slices, brain, 0)
    assert list(lesions) == list(TASKS)
    for images, masks in lesions.values():
        assert images.shape == masks.shape == slices.shape
        assert masks.dtype == torch.bool
        assert masks.flatten(1).any(1).all()
        assert not (masks & ~brain).any()
        assert torch.equal(images[~masks], slices[~masks])
        assert (images != slices).flatten(1).any(1).all()
        assert 0 <= images.min() <= images.max() <= 1


def test_same_seed_gives_the_same_lesions_and_another_one_others():
    slices, brain = scans(2)
    first, again, other = (corrupt_all(slices, brain, seed, ["sink", "intensity"]) for seed in (5, 5, 6))
    assert same(first, again)
    assert not any(torch.equal(first[task][1], other[task][1]) for task in first)


def test_scan_and_task_alone_are_as_among_others():
    slices, brain = scans(3)
    pool = list(scans(5)[0])
    every = corrupt_all(slices, brain, 1, others=pool)
    for task in TASKS:
        images, masks = corrupt_all(slices[:2], brain, 1, [task], pool)[task]
        assert torch.equal(images, every[task][0][:2])
        assert torch.equal(masks, every[task][1][:2])


def test_patches_come_from_the_others_where_there_are_some():
    slices, brain = scans(2)
    own, foreign = (corrupt_all(slices, brain, 1, ["blend"], others) for others in ((), list(1 - slices)))
    assert not torch.equal(own["blend"][0], foreign["blend"][0])


def test_maker_makes_the_kinds_asked_for():
    slices, brain = scans(2)
    assert list(lesion_maker()(slices, brain, 3)) == list(KINDS)
    assert same(
        lesion_maker("implanted", ["bright"])(slices, brain, 3),
        {"bright": implant_all(slices, brain, 3)["bright"]},
    )
    made = lesion_maker("corrupted", ["source", "sink", "source"])(slices, brain, 3)
    assert same(made, corrupt_all(slices, brain, 3, ["source", "sink"]))
    pool = list(1 - slices)
    made = lesion_maker("corrupted", ["blend"], pool)(slices, brain, 3)
    assert same(made, corrupt_all(slices, brain, 3, ["blend"], pool))


def test_unknown_lesions_and_kinds_are_refused():
    with pytest.raises(ValueError, match="expected lesions implanted or corrupted, got 'real'"):
        lesion_maker("real")
    with pytest.raises(ValueError, match=r"kinds of implanted lesions out of dark, .*, got sink, x"):
        lesion_maker("implanted", ["dark", "sink", "x"])
