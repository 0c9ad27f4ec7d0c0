import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.data.corruptions import TASKS, corrupt, corrupt_batch, split_tasks
from diffad.data.corruptions.batch import draw_task

SIZES = [(48, 40), (20, 22, 18)]
BLENDS = ("blend", "cross_blend")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def phantom(*size, channels=1, seed=0):
    """A ball-shaped brain of random tissue on a dark, noisy background."""
    axes = [torch.linspace(-1, 1, n) for n in size]
    distance = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0).sqrt()
    brain = (distance < 0.8)[None]
    noise = torch.rand(channels, *size, generator=generator(seed))
    return torch.where(brain, 0.5 + 0.2 * torch.sin(9 * distance + seed) + 0.2 * noise, 0.1 * noise), brain


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("task", TASKS)
class TestEveryTask:
    def test_changes_the_brain_and_nothing_else(self, task, size):
        image, brain = phantom(*size)
        before, state = image.clone(), torch.get_rng_state()
        result = corrupt(image, brain, task, generator(1), [phantom(*size, seed=2)[0]])
        assert result.target is image
        assert torch.equal(image, before)
        assert torch.equal(torch.get_rng_state(), state)
        assert result.mask.shape == brain.shape
        assert result.mask.dtype == torch.bool
        assert result.mask.any()
        assert not (result.mask & ~brain).any()
        assert torch.equal(result.image[~result.mask], image[~result.mask])
        assert (result.image - image).abs()[result.mask].mean() > 0.003

    def test_same_seed_repeats_and_another_seed_differs(self, task, size):
        image, brain = phantom(*size)
        a, b, c = (corrupt(image, brain, task, generator(seed)) for seed in (3, 3, 4))
        assert torch.equal(a.image, b.image)
        assert torch.equal(a.mask, b.mask)
        assert a.params == b.params
        assert not torch.equal(a.image, c.image)

    def test_one_number_is_drawn_from_the_generator(self, task, size):
        image, brain = phantom(*size)
        used, other = generator(5), generator(5)
        corrupt(image, brain, task, used)
        torch.randint(2**63 - 1, (), generator=other)
        assert torch.equal(used.get_state(), other.get_state())

    def test_channels_keep_their_own_range(self, task, size):
        low, brain = phantom(*size)
        image = torch.cat([low / 2, low])
        result = corrupt(image, brain, task, generator(2))
        for changed, channel in zip(result.image, image, strict=True):
            assert changed.min() >= channel.min()
            assert changed.max() <= channel.max()
            assert not torch.equal(changed, channel)

    def test_params_tell_each_change(self, task, size):
        image, brain = phantom(*size)
        result = corrupt(image, brain, task, generator(7))
        changes = result.params["changes"]
        assert result.task == task
        assert 1 <= len(changes) <= 4
        boxes = torch.zeros_like(brain)
        for change in changes:
            boxes[:, *(slice(*ends) for ends in change["box"])] = True
        assert not (result.mask & ~boxes).any()

    def test_background_changes_too_where_it_may(self, task, size):
        image, brain = phantom(*size)
        seeds = range(8)
        masks = [corrupt(image, brain, task, generator(seed), keep=False).mask for seed in seeds]
        assert any((mask & ~brain).any() for mask in masks)
        assert all((mask & brain).any() for mask in masks)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**40), st.sampled_from(TASKS), st.integers(12, 40), st.integers(12, 40))
def test_any_seed_and_size_keeps_the_promises(seed, task, height, width):
    image, brain = phantom(height, width, seed=seed % 7)
    result = corrupt(image, brain, task, generator(seed))
    assert result.image.dtype == image.dtype
    assert torch.equal(result.image[~result.mask], image[~result.mask])
    assert not (result.mask & ~brain).any()
    assert image.min() <= result.image.min()
    assert result.image.max() <= image.max()
    if task in BLENDS and len(result.params["changes"]) == 1:
        assert torch.equal(result.mask, (result.image - image).abs().amax(0, keepdim=True) > 0.99e-3)


class TestBatch:
    @staticmethod
    def batch(size, count=5, channels=1):
        pairs = [phantom(*size, channels=channels, seed=i) for i in range(count)]
        return (torch.stack(parts) for parts in zip(*pairs, strict=True))

    @pytest.mark.parametrize("size", SIZES)
    def test_item_alone_equals_item_in_batch(self, size):
        images, brains = self.batch(size)
        pool = [phantom(*size, seed=s)[0] for s in (8, 9)]
        whole = corrupt_batch(images, brains, TASKS, 0.7, [generator(i) for i in range(5)], pool)
        assert 0 < whole.label.sum() < 5
        for i in range(5):
            alone = corrupt_batch(images[i : i + 1], brains[i : i + 1], TASKS, 0.7, [generator(i)], pool)
            assert torch.equal(alone.image[0], whole.image[i])
            assert torch.equal(alone.mask[0], whole.mask[i])
            assert alone.label[0] == whole.label[i]

    def test_label_tells_what_changed_and_target_is_untouched(self):
        images, brains = self.batch((40, 36), 12, channels=2)
        before = images.clone()
        result = corrupt_batch(images, brains, ("sink", "intensity"), 0.5, [generator(i) for i in range(12)])
        assert result.target is images
        assert torch.equal(images, before)
        assert result.label.dtype == torch.long
        for i in range(12):
            assert bool(result.label[i]) == (not torch.equal(result.image[i], images[i]))
            assert bool(result.label[i]) == bool(result.mask[i].any())

    @pytest.mark.parametrize(("chance", "expected"), [(0.0, 0), (1.0, 6)])
    def test_chance_decides(self, chance, expected):
        images, brains = self.batch((40, 36), 6)
        result = corrupt_batch(images, brains, TASKS, chance, [generator(i) for i in range(6)])
        assert result.label.sum() == expected

    def test_one_brain_does_for_all(self):
        images, brains = self.batch((40, 36), 3)
        a, b = (
            corrupt_batch(images, brain, TASKS, 1, [generator(i) for i in range(3)])
            for brain in (brains, brains[:1])
        )
        assert torch.equal(a.image, b.image)

    def test_every_task_is_drawn_as_often(self):
        draws = np.random.default_rng(0)
        drawn = [draw_task(TASKS, 0.8, draws) for _ in range(5000)]
        for task in (*TASKS, None):
            expected = 0.2 if task is None else 0.16
            assert drawn.count(task) / 5000 == pytest.approx(expected, abs=0.03)

    def test_refuses_what_does_not_fit(self):
        images, brains = self.batch((40, 36), 2)
        two = [generator(), generator()]
        with pytest.raises(ValueError, match=r"a chance in \[0, 1\], got 1\.5"):
            corrupt_batch(images, brains, TASKS, 1.5, two)
        with pytest.raises(ValueError, match="one generator for each of 2 images, got 1"):
            corrupt_batch(images, brains, TASKS, 1, two[:1])
        with pytest.raises(ValueError, match="at least one task"):
            corrupt_batch(images, brains, (), 1, two)
        with pytest.raises(ValueError, match=r"a task among blend, cross_blend, sink.*got 'swirl'"):
            corrupt_batch(images, brains, ("swirl",), 0, two)
        with pytest.raises(ValueError, match=r"brain \(B, 1, \*S\), got"):
            corrupt_batch(images, brains[..., 1:], TASKS, 1, two)


class TestRefusals:
    image, brain = phantom(24, 24)

    def test_unknown_task_is_told_the_known_ones(self):
        with pytest.raises(ValueError, match=r"blend, cross_blend, sink, source, intensity, .*got 'swirl'"):
            corrupt(self.image, self.brain, "swirl", generator())

    def test_shapes(self):
        with pytest.raises(ValueError, match=r"image \(C, \*S\) and brain \(1, \*S\), got \(24, 24\)"):
            corrupt(self.image[0], self.brain, "sink", generator())
        with pytest.raises(ValueError, match=r"got \(1, 24, 24\) and \(1, 23, 24\)"):
            corrupt(self.image, self.brain[:, 1:], "sink", generator())

    def test_types(self):
        with pytest.raises(TypeError, match=r"a boolean brain, got torch.float32 and torch.float32"):
            corrupt(self.image, self.brain.float(), "sink", generator())
        with pytest.raises(TypeError, match=r"a float image"):
            corrupt(self.image.long(), self.brain, "sink", generator())

    def test_intensities(self):
        with pytest.raises(ValueError, match=r"in \[0, 1\], got -1 to 1"):
            corrupt(2 * (self.image > 0.3).float() - 1, self.brain, "sink", generator())
        with pytest.raises(ValueError, match=r"in \[0, 1\], got nan"):
            corrupt(self.image * float("nan"), self.brain, "sink", generator())

    def test_empty_brain(self):
        with pytest.raises(ValueError, match="brain mask with voxels in it"):
            corrupt(self.image, torch.zeros_like(self.brain), "sink", generator())

    def test_brain_without_room(self):
        small = torch.zeros_like(self.brain)
        small[:, 5:8, 5:20] = True
        with pytest.raises(ValueError, match=r"at least 4 voxels along each axis, got \(3, 15\)"):
            corrupt(self.image, small, "sink", generator())

    def test_sources(self):
        with pytest.raises(ValueError, match=r"a source \(C, \*S\) like the image"):
            corrupt(self.image, self.brain, "blend", generator(), others=[self.image[0]])
        with pytest.raises(ValueError, match=r"sources in \[0, 1\], got"):
            corrupt(self.image, self.brain, "cross_blend", generator(), foreign=[3 * self.image])

    @pytest.mark.parametrize("k", [-1, 10])
    def test_fold(self, k):
        with pytest.raises(ValueError, match=f"a fold from 0 to 9, got {k}"):
            split_tasks(k)
